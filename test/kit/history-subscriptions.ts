/**
 * Lives of subscriptions: which offsets each was owed, and in which order they came. Fed by
 * history-checker.ts in log order. A life begins at `subscribe`, `resubscribe` or an `unrecovered` gap, and
 * ends with the next of them, with the connection or with the server's word. It owes its client every offset
 * from its beginning to the last one delivered; one that is still open when a drained log ends owes
 * everything. The final history is the life of one more client, which nobody interrupts.
 */
import type { HistoryEvent, Position, ViolationList } from './history-events.ts';
import { joined, type Sighting } from './history-publications.ts';

export interface Span {
  from: number;
  to: number;
}

export interface SubscriptionLife {
  client: string;
  tenant: string;
  topic: string;
  /** Undefined until a position is known. */
  epoch: string | undefined;
  /** Owed is what comes after this offset; undefined until the first delivery says where it begins. */
  after: number | undefined;
  /** Highest offset delivered, or `after`. */
  last: number;
  /** Left out so far, in no order. */
  missing: Span[];
  isOpen: boolean;
}

export class SubscriptionLives {
  readonly all: SubscriptionLife[] = [];
  readonly #open = new Map<string, SubscriptionLife>();
  /** Topics of a client that are open now: what a `close` ends. */
  readonly #topicsOf = new Map<string, Set<string>>();
  /** Per client and topic every message id that it ever got. */
  readonly #received = new Map<string, Set<string>>();
  readonly #violations: ViolationList;

  constructor(violations: ViolationList) {
    this.#violations = violations;
  }

  begin(
    { client, tenant, topic }: { client: string; tenant: string; topic: string },
    from: Position | undefined,
  ): void {
    this.end(client, topic);
    const life: SubscriptionLife = {
      ...{ client, tenant, topic, epoch: from?.epoch, after: from?.offset, last: from?.offset ?? 0 },
      ...{ missing: [], isOpen: true },
    };
    this.all.push(life);
    this.#open.set(joined(client, topic), life);
    const topics = this.#topicsOf.get(client) ?? new Set();
    this.#topicsOf.set(client, topics.add(topic));
  }

  end(client: string, topic: string): void {
    const id = joined(client, topic);
    const life = this.#open.get(id);
    if (life === undefined) return;
    life.isOpen = false;
    this.#open.delete(id);
    this.#topicsOf.get(client)?.delete(topic);
  }

  /** Any event that is not a delivery. */
  take(event: HistoryEvent, tenant: string): void {
    const { client } = event;
    if (event.kind === 'close' || event.kind === 'connect') {
      for (const topic of [...(this.#topicsOf.get(client) ?? [])]) this.end(client, topic);
    } else if (event.kind === 'subscribe') {
      this.begin({ client, tenant, topic: event.topic }, event.from);
    } else if (event.kind === 'resubscribe') {
      this.begin({ client, tenant, topic: event.topic }, event.since);
    } else if (event.kind === 'unsubscribe') {
      this.end(client, event.topic);
    } else if (event.kind === 'gap') {
      if (event.signal === 'ended') this.end(client, event.topic);
      else this.begin({ client, tenant, topic: event.topic }, event.from);
    }
  }

  deliver(seen: Sighting): void {
    const { client, topic, epoch, offset, messageId } = seen;
    const id = joined(client, topic);
    let life = this.#open.get(id);
    if (life === undefined) {
      this.#report('stray', seen, `offset ${offset} came without a subscription`);
      return;
    }
    if (life.epoch !== undefined && life.epoch !== epoch) {
      const was = `epoch ${life.epoch} at offset ${life.last}`;
      this.#report('hole', seen, `after ${was} came epoch ${epoch} at offset ${offset} without a signal`);
      this.begin(seen, { epoch, offset: offset - 1 });
      life = this.#open.get(id)!;
    }
    life.epoch = epoch;
    if (life.after === undefined) life.last = life.after = offset - 1;
    const received = this.#received.get(id) ?? new Set();
    this.#received.set(id, received);
    if (offset > life.last) {
      if (offset > life.last + 1) life.missing.push({ from: life.last + 1, to: offset - 1 });
      life.last = offset;
    } else if (fill(life.missing, offset)) {
      this.#report('reordered', seen, `offset ${offset} came after ${life.last}`);
    } else if (received.has(messageId)) {
      this.#report('doubled', seen, `offset ${offset} was delivered again, after ${life.last}`);
    } else if (offset <= life.after) {
      this.#report(
        'reordered',
        seen,
        `offset ${offset} came though the subscription began after ${life.after}`,
      );
    }
    // Else another message was delivered at this offset before: the slots of history-checker.ts tell.
    received.add(messageId);
  }

  #report(name: 'stray' | 'hole' | 'reordered' | 'doubled', seen: Sighting, sentence: string): void {
    const { client, tenant, topic, epoch, offset, messageId } = seen;
    this.#violations.add(joined(client, epoch, messageId, String(offset)), {
      ...{ class: name, tenant, topic, epoch, offsets: [offset], messages: [messageId], clients: [client] },
      sentence: `message ${messageId}: ${sentence}`,
    });
  }
}

/** Takes `offset` out of the spans; false when it is in none. */
function fill(spans: Span[], offset: number): boolean {
  const at = spans.findIndex(({ from, to }) => from <= offset && offset <= to);
  if (at < 0) return false;
  const { from, to } = spans[at]!;
  const rest = [
    { from, to: offset - 1 },
    { from: offset + 1, to },
  ];
  spans.splice(at, 1, ...rest.filter((span) => span.from <= span.to));
  return true;
}

/** Spans as few disjoint ones, rising. */
export function mergedSpans(spans: readonly Span[]): Span[] {
  const merged: Span[] = [];
  for (const { from, to } of [...spans].sort((a, b) => a.from - b.from)) {
    const previous = merged.at(-1);
    if (previous !== undefined && from <= previous.to + 1) previous.to = Math.max(previous.to, to);
    else merged.push({ from, to });
  }
  return merged;
}

/** Is `offset` in one of the merged spans? */
export function isCovered(merged: readonly Span[], offset: number): boolean {
  let low = 0;
  let high = merged.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (merged[middle]!.to < offset) low = middle + 1;
    else high = middle;
  }
  return low < merged.length && merged[low]!.from <= offset;
}
