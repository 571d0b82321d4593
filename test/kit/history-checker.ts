/**
 * The history checker: from what clients sent and saw to what the server did wrong. Pure, no clock; time
 * and memory linear in the log as long as little is wrong. Used by unit tests, simulations and chaos tests
 * alike; proved on seeded bad histories (history-mutations.ts). How to record a log: history-events.ts. The
 * promises: protocol section 5. Retention during the run makes the final history start later (`from`), never
 * thinner.
 */
import { type FinalTopic, type History, type Violation, ViolationList } from './history-events.ts';
import { honestAcks, isDoubled } from './history-identity.ts';
import { checkSendersOrder, type PlacedPublication } from './history-order.ts';
import {
  type Ack,
  finalClient,
  joined,
  type Publication,
  type Publications,
  readPublications,
  type Sighting,
  sightingsIn,
} from './history-publications.ts';
import {
  isCovered,
  mergedSpans,
  type Span,
  type SubscriptionLife,
  SubscriptionLives,
} from './history-subscriptions.ts';
import { type TopicLog, TopicLogs } from './history-topic-logs.ts';

interface AckedPublication {
  publication: Publication;
  ack: Ack;
}

/** Everything that is wrong, worst first; empty for a good history. Throws on a log that cannot have been. */
export function checkHistory(history: History): Violation[] {
  return new HistoryCheck(history).run();
}

class HistoryCheck {
  readonly #history: History;
  readonly #isDrained: boolean;
  /** By tenant and topic. */
  readonly #finals: Map<string, FinalTopic[]>;
  readonly #violations = new ViolationList();
  readonly #publications: Publications;
  readonly #lives = new SubscriptionLives(this.#violations);
  readonly #logs = new TopicLogs(this.#violations);
  /** Message ids of this log's publications that were seen anywhere. */
  readonly #seenIds = new Set<string>();

  constructor(history: History) {
    this.#history = history;
    this.#isDrained = history.isDrained ?? true;
    this.#finals = Map.groupBy(history.final ?? [], ({ tenant, topic }) => joined(tenant, topic));
    this.#publications = readPublications(history);
  }

  run(): Violation[] {
    this.#readEvents();
    this.#readFinal();
    const placed: PlacedPublication[] = [];
    const acked: AckedPublication[] = [];
    for (const publication of this.#publications.all) {
      if (isDoubled(publication, this.#logs, this.#violations)) continue;
      const honest = honestAcks(publication, this.#seenIds, this.#violations);
      for (const ack of honest) acked.push({ publication, ack });
      const seen = [...publication.seenAt.values()].flat();
      const place =
        seen.length > 0 ? seen.find((each) => !this.#logs.isDivergent(publication, each)) : honest[0];
      if (place !== undefined) placed.push({ publication, place });
    }
    this.#checkLost(acked);
    this.#checkHoles();
    // A durable topic takes what it does not refuse; another may have begun anew behind the sender's back.
    const takesUnanswered = ({ tenant, topic }: Publication) =>
      this.#history.mayRefuse === false && this.#finals.get(joined(tenant, topic))?.length === 1;
    checkSendersOrder(placed, takesUnanswered, this.#violations);
    this.#checkUnaskedAcks();
    return this.#violations.all();
  }

  #readEvents(): void {
    for (const event of this.#history.events) {
      const tenant = this.#publications.tenantOf(event);
      if (event.kind !== 'deliver') {
        if ('from' in event) this.#logs.follow(event.client, tenant, event.topic, event.from.epoch);
        this.#lives.take(event, tenant);
        continue;
      }
      const { client, topic, epoch, offset, messageId, sender, body } = event;
      const seen: Sighting = { client, tenant, topic, epoch, offset, messageId, sender, body };
      if (!this.#isOfThisTenant(seen)) continue;
      this.#logs.follow(client, tenant, topic, epoch);
      this.#logs.witness(seen);
      this.#lives.deliver(seen);
    }
  }

  /** The store is one more client, subscribed to everything from the start. */
  #readFinal(): void {
    for (const final of this.#history.final ?? []) {
      const { tenant, topic, epoch, from = 1 } = final;
      this.#lives.begin({ client: finalClient(final), tenant, topic }, { epoch, offset: from - 1 });
      for (const seen of sightingsIn(final)) {
        if (!this.#isOfThisTenant(seen)) continue;
        this.#logs.witness(seen);
        this.#lives.deliver(seen);
        const origin = this.#publications.originOf(seen);
        if ('publication' in origin) origin.publication.finalIds.add(seen.messageId);
      }
    }
  }

  /** Notes whose message it is, and reports what was never sent. A foreign one takes no place in the topic. */
  #isOfThisTenant(seen: Sighting): boolean {
    const { client, tenant, topic, epoch, offset, messageId } = seen;
    const origin = this.#publications.originOf(seen);
    if ('publication' in origin && origin.is !== 'foreign' && origin.publication.topic === topic) {
      this.#seenIds.add(messageId);
      const { seenAt } = origin.publication;
      const places = seenAt.get(messageId);
      if (places === undefined) seenAt.set(messageId, [{ epoch, offset }]);
      else if (!places.some((place) => place.epoch === epoch && place.offset === offset))
        places.push({ epoch, offset });
    }
    if (origin.is === 'sent') return true;
    const key = 'publication' in origin ? origin.publication.key : '';
    const sentence = {
      unknown: `of ${seen.sender} was never sent`,
      altered: `of key ${key} has another body, sender or topic than was sent`,
      refused: `was seen, though every attempt of its key ${key} was refused`,
      foreign: `of key ${key} belongs to another tenant`,
    }[origin.is];
    this.#violations.add(joined(epoch, messageId, seen.body), {
      ...{ class: origin.is === 'foreign' ? 'cross-tenant' : 'phantom', tenant, topic, epoch },
      ...{ offsets: [offset], messages: [messageId], clients: [client] },
      sentence: `message ${messageId} ${sentence}`,
    });
    return origin.is !== 'foreign';
  }

  #checkLost(acked: readonly AckedPublication[]): void {
    const covered = this.#coveredSpans();
    const unseen: AckedPublication[] = [];
    for (const { publication, ack } of acked) {
      const { tenant, topic, key, finalIds, seenAt } = publication;
      const { messageId, epoch, offset } = ack;
      const log = this.#logs.of(tenant, topic, epoch);
      const finals = this.#finals.get(joined(tenant, topic));
      const isSeen = seenAt.has(messageId);
      let sentence: string | undefined;
      if (finals !== undefined) {
        const final = finals.find((candidate) => candidate.epoch === epoch);
        const isOwed = final === undefined || offset >= (final.from ?? 1);
        if (isOwed && !finalIds.has(messageId)) sentence = 'and is not in the final history';
      } else if (!isSeen && isCovered(covered.get(log) ?? [], offset)) {
        sentence = 'and was delivered to nobody, though its place was watched';
      }
      if (sentence !== undefined) {
        log.lost.add(offset);
        this.#violations.add(joined(epoch, key, messageId), {
          ...{ class: 'lost', tenant, topic, epoch, offsets: [offset], messages: [messageId] },
          clients: [ack.client],
          sentence: `key ${key}, message ${messageId}, was acked at offset ${offset} ${sentence}`,
        });
      } else if (!isSeen) unseen.push({ publication, ack });
    }
    // Messages that nobody was owed: their acks still may not claim a place that another message has.
    for (const { publication, ack } of unseen) this.#logs.witness({ ...publication, ...ack });
  }

  /** What somebody was owed: an acked message in there that nobody saw is lost. */
  #coveredSpans(): Map<TopicLog, Span[]> {
    const spans = new Map<TopicLog, Span[]>();
    for (const { tenant, topic, epoch, after, last, isOpen } of this.#lives.all) {
      if (epoch === undefined || after === undefined) continue;
      const log = this.#logs.of(tenant, topic, epoch);
      const list = spans.get(log) ?? [];
      list.push({ from: after + 1, to: isOpen && this.#isDrained ? Number.POSITIVE_INFINITY : last });
      spans.set(log, list);
    }
    return new Map([...spans].map(([log, list]) => [log, mergedSpans(list)]));
  }

  #checkHoles(): void {
    for (const life of this.#lives.all) {
      const { tenant, topic, epoch, last, isOpen, client } = life;
      if (epoch === undefined) continue;
      const log = this.#logs.of(tenant, topic, epoch);
      for (const span of life.missing) this.#reportHole(life, epoch, span, log.lost);
      if (!isOpen || !this.#isDrained) continue;
      if (life.after !== undefined && log.offsetMax > last) {
        this.#reportHole(life, epoch, { from: last + 1, to: log.offsetMax }, log.lost);
      }
      const successor = this.#logs.successorOf(tenant, topic, epoch);
      if (successor !== undefined) {
        this.#violations.add(joined('left behind', epoch), {
          ...{ class: 'hole', tenant, topic, epoch, offsets: [], messages: [], clients: [client] },
          sentence: `the topic went on in epoch ${successor}, and subscribers of ${epoch} were not told`,
        });
      }
    }
  }

  /** `lost`: offsets of which nothing could be delivered; they have been told. */
  #reportHole(
    { client, tenant, topic }: SubscriptionLife,
    epoch: string,
    span: Span,
    lost: Set<number>,
  ): void {
    const edges = lostWithin(span, lost);
    let { from } = span;
    for (const edge of [...edges, span.to + 1]) {
      const to = edge - 1;
      if (from <= to) {
        const offsets = Array.from({ length: Math.min(to - from + 1, 100) }, (_, i) => from + i);
        const slots = this.#logs.of(tenant, topic, epoch).slots;
        this.#violations.add(joined(epoch, String(from), String(to)), {
          ...{ class: 'hole', tenant, topic, epoch, offsets, clients: [client] },
          messages: offsets.flatMap((offset) => slots.get(offset)?.messageId ?? []),
          sentence: `${from === to ? `offset ${from} was` : `offsets ${from} to ${to} were`} left out without a signal`,
        });
      }
      from = edge + 1;
    }
  }

  #checkUnaskedAcks(): void {
    for (const { tenant, ack, key } of this.#publications.unaskedAcks) {
      this.#violations.add(joined('ack', ack.client, key, String(ack.index)), {
        ...{ class: 'phantom', tenant, topic: '?', epoch: ack.epoch, offsets: [ack.offset] },
        ...{ messages: [ack.messageId], clients: [ack.client] },
        sentence: `an ack for key ${key} answers nothing that was sent and unanswered`,
      });
    }
  }
}

/** The lost offsets in a span, rising; by walking whichever is the shorter. */
function lostWithin({ from, to }: Span, lost: Set<number>): number[] {
  if (to - from < lost.size) {
    return Array.from({ length: to - from + 1 }, (_, i) => from + i).filter((offset) => lost.has(offset));
  }
  return [...lost].filter((offset) => offset >= from && offset <= to).sort((a, b) => a - b);
}
