/**
 * Faults put into good histories, one at a time: the proof that history-checker.ts sees each class, and
 * calls it by its name. Every mutation changes all that a real server with this one fault would change, so
 * that no second class is to be found.
 */
import type { Random } from '#kit/random.ts';
import type { FinalTopic, History, HistoryEvent, SeenMessage, ViolationClass } from './history-events.ts';

type Deliver = Extract<HistoryEvent, { kind: 'deliver' }>;
type Ack = Extract<HistoryEvent, { kind: 'ack' }>;
type Invoke = Extract<HistoryEvent, { kind: 'invoke' }>;
type MutableFinal = Omit<FinalTopic, 'messages'> & { messages: Omit<SeenMessage, 'epoch'>[] };

export interface Mutation {
  fault: string;
  class: ViolationClass;
  /** The history with the fault; undefined where this history has no place for it. */
  apply(history: History, random: Random): History | undefined;
}

/** `work` says false where it found no place. */
function mutation(name: ViolationClass, fault: string, work: (draft: Draft) => boolean): Mutation {
  return {
    ...{ class: name, fault },
    apply(history, random) {
      const draft = new Draft(history, random);
      return work(draft) ? draft.history : undefined;
    },
  };
}

export const mutations: readonly Mutation[] = [
  mutation('lost', 'an acked message is nowhere', (draft) => {
    const ack = draft.pick(draft.acks().filter((each) => draft.finalOf(each) !== undefined));
    return ack !== undefined && draft.forget(ack.messageId);
  }),
  mutation('lost', 'an acked message was delivered, but is not in the final history', (draft) => {
    const final = draft.pick(
      draft.finals.filter(({ messages }) => messages.some((each) => draft.isAcked(each))),
    );
    const message = draft.pick(final?.messages.filter((each) => draft.isAcked(each)) ?? []);
    if (final === undefined || message === undefined) return false;
    final.messages = final.messages.filter((each) => each !== message);
    return true;
  }),
  mutation('lost', 'an acked message is nowhere, and only subscribers can tell', (draft) => {
    const middle = draft.pick(
      draft
        .runs(3)
        .map((run) => run[1]!)
        .filter((each) => draft.isAcked(each)),
    );
    if (middle === undefined) return false;
    draft.history = { ...draft.history, final: [] };
    return draft.forget(middle.messageId);
  }),
  mutation('lost', 'an acked message is nowhere, and the next one has its offset', (draft) => {
    const ack = draft.pick(draft.acks().filter((each) => draft.finalOf(each) !== undefined));
    if (ack === undefined) return false;
    draft.forget(ack.messageId);
    for (const position of draft.positions(ack.epoch)) {
      const isOfAnother = !('messageId' in position) || position.messageId !== ack.messageId;
      if (isOfAnother && position.offset >= ack.offset && position !== ack) position.offset--;
    }
    return true;
  }),
  mutation('hole', 'one subscriber misses one message', (draft) => {
    const middle = draft.pick(
      draft
        .runs(3)
        .map((run) => run[1]!)
        .filter((each) => draft.finalOf(each)),
    );
    return middle !== undefined && draft.remove(middle);
  }),
  mutation('hole', 'one subscriber never gets the last message', (draft) => {
    const last = draft.pick(
      draft
        .runs(2)
        .map((run) => run[1]!)
        .filter((each) => draft.finalOf(each) && draft.next(each) === undefined),
    );
    return last !== undefined && draft.remove(last);
  }),
  mutation('hole', 'a lost position is not admitted', (draft) => {
    const gap = draft.pick(
      draft.events.filter((event) => {
        if (event.kind !== 'gap' || event.signal !== 'unrecovered') return false;
        const [before, after] = [draft.previous(event), draft.next(event)];
        if (before?.kind !== 'resubscribe' || after?.kind !== 'deliver') return false;
        if (before.since.epoch !== after.epoch) return true;
        return draft.finalOf(after) !== undefined && after.offset > before.since.offset + 1;
      }),
    );
    return gap !== undefined && draft.remove(gap);
  }),
  mutation('doubled', 'one subscriber gets one message twice', (draft) => {
    const deliver = draft.pick(draft.delivers());
    if (deliver === undefined) return false;
    const next = draft.next(deliver);
    draft.insertAfter(next?.kind === 'deliver' && draft.chance() ? next : deliver, { ...deliver });
    return true;
  }),
  mutation('doubled', 'one message is stored at two offsets', (draft) => {
    const final = draft.pick(draft.finals.filter(({ messages }) => messages.length > 0));
    const message = draft.pick(final?.messages ?? []);
    return final !== undefined && message !== undefined && draft.append(final, message);
  }),
  mutation('doubled', 'one key is stored as two messages', (draft) => {
    const final = draft.pick(draft.finals.filter(({ messages }) => messages.length > 0));
    const message = draft.pick(final?.messages ?? []);
    return (
      final !== undefined && message !== undefined && draft.append(final, { ...message, messageId: 'again' })
    );
  }),
  mutation('reordered', 'one subscriber gets two messages in the wrong order', (draft) => {
    const [first, second] = draft.pick(draft.runs(2)) ?? [];
    if (first === undefined || second === undefined) return false;
    draft.exchange(first, second);
    return true;
  }),
  mutation('reordered', 'two messages of a sender have offsets against the order of sending', (draft) => {
    const pair = draft.pick(draft.pairsOfOneSender());
    if (pair === undefined) return false;
    draft.swapPlaces(...pair);
    return true;
  }),
  mutation('phantom', 'one subscriber sees another body', (draft) => {
    const deliver = draft.pick(draft.delivers().filter((each) => draft.isAcked(each)));
    if (deliver === undefined) return false;
    deliver.body += ' and more';
    return true;
  }),
  mutation('phantom', 'everybody sees a message that nobody sent', (draft) => {
    const final = draft.pick(draft.finals);
    return final !== undefined && draft.append(final, { messageId: 'ghost', sender: 'nobody', body: 'boo' });
  }),
  mutation('phantom', 'a refused message is delivered', (draft) => {
    const ack = draft.pick(draft.soleAcks());
    if (ack === undefined) return false;
    const { at, client, key } = ack;
    draft.events[draft.events.indexOf(ack)] = { at, client, kind: 'reject', key, code: 'busy' };
    return true;
  }),
  mutation('cross-tenant', 'a client sees a message of another tenant', (draft) => {
    const deliver = draft.pick(draft.delivers());
    if (deliver === undefined) return false;
    const tenant = draft.tenantOf(deliver.client);
    const stranger = draft.pick(
      draft.events.filter((event) => event.kind === 'connect' && event.tenant !== tenant),
    );
    if (stranger === undefined) return false;
    draft.insertAfter(stranger, { ...deliver, client: stranger.client });
    return true;
  }),
  mutation('divergence', 'one subscriber sees two messages in each other’s place', (draft) => {
    const [first, second] = draft.pick(draft.runs(2).filter(([each]) => draft.finalOf(each!))) ?? [];
    if (first === undefined || second === undefined) return false;
    const { messageId, sender, body } = first;
    Object.assign(first, { messageId: second.messageId, sender: second.sender, body: second.body });
    Object.assign(second, { messageId, sender, body });
    return true;
  }),
  mutation('ack-mismatch', 'an ack names another offset', (draft) => {
    const ack = draft.pick(draft.acks().filter((each) => draft.isSeen(each)));
    if (ack === undefined) return false;
    ack.offset += draft.chance() ? 1 : 1000;
    return true;
  }),
  mutation('ack-mismatch', 'an ack names another message', (draft) => {
    const ack = draft.pick(draft.soleAcks());
    const other = draft.pick(draft.acks().filter((each) => each.messageId !== ack?.messageId));
    if (ack === undefined || other === undefined) return false;
    ack.messageId = draft.chance() ? other.messageId : 'no-such-message';
    return true;
  }),
  mutation('stray', 'a message comes after the subscription ended', (draft) => {
    const end = draft.pick(
      draft.events.filter(
        (event) => event.kind === 'unsubscribe' || (event.kind === 'gap' && event.signal === 'ended'),
      ),
    );
    if (end === undefined || !('topic' in end)) return false;
    const { client, topic } = end;
    const final = draft.finals.find((each) => each.tenant === draft.tenantOf(client) && each.topic === topic);
    const message = draft.pick(final?.messages ?? []);
    if (final === undefined || message === undefined) return false;
    const step = { kind: 'deliver', topic, epoch: final.epoch, isReplay: false, ...message } as const;
    draft.insertAfter(end, { at: end.at, client, ...step });
    return true;
  }),
];

/** A copy of a history that may be changed, and the questions that mutations ask. */
class Draft {
  history: History;
  readonly events: HistoryEvent[];
  readonly finals: MutableFinal[];
  readonly #random: Random;
  readonly #tenants = new Map<string, string>();

  constructor(history: History, random: Random) {
    this.events = structuredClone(history.events) as HistoryEvent[];
    this.finals = structuredClone(history.final ?? []) as MutableFinal[];
    this.history = { ...history, events: this.events, final: this.finals };
    this.#random = random;
    for (const event of this.events)
      if (event.kind === 'connect') this.#tenants.set(event.client, event.tenant);
  }

  pick<Value>(list: readonly Value[]): Value | undefined {
    return list[Math.floor(this.#random.next() * list.length)];
  }

  chance(): boolean {
    return this.#random.next() < 0.5;
  }

  tenantOf(client: string): string {
    return this.#tenants.get(client)!;
  }

  delivers(): Deliver[] {
    return this.events.filter((event) => event.kind === 'deliver');
  }

  acks(): Ack[] {
    return this.events.filter((event) => event.kind === 'ack');
  }

  isAcked({ messageId }: { messageId: string }): boolean {
    return this.acks().some((ack) => ack.messageId === messageId);
  }

  isSeen({ messageId }: { messageId: string }): boolean {
    return (
      this.finalOf({ messageId }) !== undefined ||
      this.delivers().some((each) => each.messageId === messageId)
    );
  }

  /** Epochs are unique in good histories. */
  finalOf({ messageId }: { messageId: string }): MutableFinal | undefined {
    return this.finals.find(({ messages }) => messages.some((each) => each.messageId === messageId));
  }

  /** Acks of seen messages that were sent once and acked once. */
  soleAcks(): Ack[] {
    return this.acks().filter(
      (ack) =>
        this.isSeen(ack) &&
        this.acks().filter(({ messageId }) => messageId === ack.messageId).length === 1 &&
        this.#attempts(ack.key).length === 1,
    );
  }

  /** Neighbours of an event among what concerns its client and topic. */
  next(event: HistoryEvent): HistoryEvent | undefined {
    return this.#neighbour(event, 1);
  }

  previous(event: HistoryEvent): HistoryEvent | undefined {
    return this.#neighbour(event, -1);
  }

  /** Deliveries of one subscription that follow each other, `length` of them. */
  runs(length: number): Deliver[][] {
    return this.delivers().flatMap((first) => {
      const run: Deliver[] = [first];
      while (run.length < length) {
        const next = this.next(run.at(-1)!);
        if (next?.kind !== 'deliver') return [];
        run.push(next);
      }
      return [run];
    });
  }

  /** Two acked messages, each sent once, the first before the second on one connection. */
  pairsOfOneSender(): [Ack, Ack][] {
    const sent = new Map(this.soleAcks().map((ack) => [this.#attempts(ack.key)[0]!, ack]));
    return [...sent].flatMap(([first, ack]) => {
      for (let at = this.events.indexOf(first) + 1; at < this.events.length; at++) {
        const event = this.events[at]!;
        if (event.client !== first.client) continue;
        if (event.kind === 'close') return [];
        const other = event.kind === 'invoke' && event.topic === first.topic && sent.get(event);
        if (other && other.epoch === ack.epoch) return [[ack, other] as [Ack, Ack]];
      }
      return [];
    });
  }

  swapPlaces(first: Ack, second: Ack): void {
    const places = [first.offset, second.offset];
    const ids = [second.messageId, first.messageId];
    const seen = [...this.delivers(), ...this.finals.flatMap(({ messages }) => messages)];
    const samples = ids.map((id) => ({ ...seen.find(({ messageId }) => messageId === id)! }));
    for (const message of seen) {
      const at = [first.messageId, second.messageId].indexOf(message.messageId);
      if (at < 0) continue;
      const { messageId, sender, body } = samples[at]!;
      Object.assign(message, { messageId, sender, body });
    }
    [second.offset, first.offset] = places as [number, number];
  }

  /** Everything in an epoch that names an offset. */
  *positions(epoch: string): Generator<{ offset: number }> {
    for (const event of this.events) {
      if ('offset' in event && event.epoch === epoch) yield event;
      if ('from' in event && event.from?.epoch === epoch) yield event.from;
      if ('since' in event && event.since.epoch === epoch) yield event.since;
    }
    for (const final of this.finals) if (final.epoch === epoch) yield* final.messages;
  }

  remove(event: HistoryEvent): true {
    this.events.splice(this.events.indexOf(event), 1);
    return true;
  }

  /** Nobody saw it, and nobody has it. */
  forget(messageId: string): true {
    for (const event of this.delivers()) if (event.messageId === messageId) this.remove(event);
    for (const final of this.finals) {
      final.messages = final.messages.filter((each) => each.messageId !== messageId);
    }
    return true;
  }

  insertAfter(event: HistoryEvent, added: HistoryEvent): void {
    this.events.splice(this.events.indexOf(event) + 1, 0, added);
  }

  exchange(first: HistoryEvent, second: HistoryEvent): void {
    const [at, other] = [this.events.indexOf(first), this.events.indexOf(second)];
    this.events[at] = second;
    this.events[other] = first;
  }

  /** One more message at a topic's end, stored and delivered to whoever is subscribed. */
  append(final: MutableFinal, { messageId, sender, body }: Omit<SeenMessage, 'epoch' | 'offset'>): true {
    const { tenant, topic, epoch } = final;
    const message = { offset: final.messages.length + 1, messageId, sender, body };
    final.messages.push(message);
    for (const client of this.#tenants.keys()) {
      const last = this.events.findLast((event) => event.client === client && concerns(event, topic));
      const isOpen = last && last.kind !== 'unsubscribe' && last.kind !== 'connect' && last.kind !== 'close';
      if (this.tenantOf(client) !== tenant || !isOpen || (last.kind === 'gap' && last.signal === 'ended'))
        continue;
      this.events.push({ at: last.at, client, kind: 'deliver', topic, epoch, isReplay: false, ...message });
    }
    return true;
  }

  #attempts(key: string): Invoke[] {
    return this.events.filter((event) => event.kind === 'invoke' && event.key === key) as Invoke[];
  }

  #neighbour(event: HistoryEvent, step: 1 | -1): HistoryEvent | undefined {
    if (!('topic' in event)) return undefined;
    for (let at = this.events.indexOf(event) + step; this.events[at] !== undefined; at += step) {
      const other = this.events[at]!;
      if (other.client === event.client && concerns(other, event.topic)) return other;
    }
    return undefined;
  }
}

/** Has to do with the subscription of its client to this topic. */
function concerns(event: HistoryEvent, topic: string): boolean {
  if (event.kind === 'connect' || event.kind === 'close') return true;
  return 'topic' in event && event.topic === topic && event.kind !== 'invoke';
}
