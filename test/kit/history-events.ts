/**
 * What clients did and saw, as a log: the input and the output of history-checker.ts, and how to record it.
 * - The order of the array is the order of events; `at` is for people, and to merge logs of several threads.
 * - A client is a program that may reconnect: `connect` and `close` bracket each of its connections.
 * - `invoke` is recorded when it is sent, all else when it is read: `subscribe` at the reply, not before.
 * - Bodies are unique: two keys of one sender never carry the same body in one topic.
 * - No filtered subscriptions and no volatile topics: their holes are wanted.
 * - An edit or a deletion takes an offset: it is a publication with an id of its own.
 */

/** A place in a topic. */
export interface Position {
  epoch: string;
  offset: number;
}

/** What a subscriber reads, and what the store holds in the end. */
export interface SeenMessage extends Position {
  messageId: string;
  sender: string;
  body: string;
}

export type HistoryStep =
  | { kind: 'connect'; tenant: string }
  | { kind: 'close' }
  /** A publish was sent. The same key again is a resend. */
  | { kind: 'invoke'; topic: string; key: string; sender: string; body: string }
  /** Answers the oldest unanswered `invoke` of this key on this connection. */
  | ({ kind: 'ack'; key: string; messageId: string; duplicate: boolean } & Position)
  | { kind: 'reject'; key: string; code: string }
  /** A subscription begins. `from`: the topic's position in the reply; without it the first delivery says where. */
  | { kind: 'subscribe'; topic: string; from?: Position }
  /** A subscription begins with what came after `since`, or a `gap` follows. */
  | { kind: 'resubscribe'; topic: string; since: Position }
  | { kind: 'unsubscribe'; topic: string }
  /** `unrecovered`: it goes on, from `from` or wherever the next delivery is. `ended`: nothing more arrives. */
  | { kind: 'gap'; topic: string; signal: 'unrecovered' | 'ended'; from?: Position }
  | ({ kind: 'deliver'; topic: string; isReplay: boolean } & SeenMessage);

export type HistoryEvent = { at: number; client: string } & HistoryStep;

/** What the store holds of one epoch of a topic in the end, from offset `from` (default 1) without holes. */
export interface FinalTopic {
  tenant: string;
  topic: string;
  epoch: string;
  from?: number;
  messages: readonly Omit<SeenMessage, 'epoch'>[];
}

export interface History {
  events: readonly HistoryEvent[];
  /** Of durable topics. A topic that is not here is judged by what its subscribers saw. */
  final?: readonly FinalTopic[];
  /** Everything sent was given the time to arrive at who is still subscribed. Default true. */
  isDrained?: boolean;
  /**
   * The server may have refused what stayed unanswered: full queues, limits, a store that is down. Default true.
   * False asks more of the order in topics with a final history: what was never answered has its place before
   * what was sent after it on its connection.
   */
  mayRefuse?: boolean;
  /** Refusals that leave open whether the message is stored. Default: `internal`. */
  indefiniteCodes?: readonly string[];
}

export const violationClasses = [
  /** Acked, and then not in the final history, or not seen by anyone who watched its place. */
  'lost',
  /** One message at two offsets, one key stored twice, or one message twice in a subscription. */
  'doubled',
  /** Offsets that fall in a subscription, or offsets of a sender against the order of sending. */
  'reordered',
  /** Offsets or an epoch left out without a word. */
  'hole',
  /** Seen, but never sent, sent with another body, or refused. */
  'phantom',
  /** Seen by another tenant. */
  'cross-tenant',
  /** Two messages at one position. */
  'divergence',
  /** The ack names another place or another message than what was seen. */
  'ack-mismatch',
  /** Delivered to a client without a subscription. */
  'stray',
] as const;
export type ViolationClass = (typeof violationClasses)[number];

export interface Violation {
  class: ViolationClass;
  tenant: string;
  topic: string;
  epoch: string;
  /** The first few, rising. */
  offsets: number[];
  /** Message ids, or keys where no id is known. */
  messages: string[];
  /** Who saw it; `final history of ..` for the store. */
  clients: string[];
  sentence: string;
}

/** Longer lists say no more. */
const listedMax = 20;

/** Collects violations; what several clients saw of one fault is one violation. */
export class ViolationList {
  readonly #byFault = new Map<string, Violation>();

  /** `fault` is the identity within the class: the same again only adds the clients. */
  add(fault: string, violation: Violation): void {
    const id = `${violation.class}|${violation.tenant}|${violation.topic}|${fault}`;
    const known = this.#byFault.get(id);
    if (known === undefined) {
      this.#byFault.set(id, {
        ...violation,
        offsets: violation.offsets.slice(0, listedMax),
        messages: violation.messages.slice(0, listedMax),
      });
      return;
    }
    for (const client of violation.clients) {
      if (!known.clients.includes(client) && known.clients.length < listedMax) known.clients.push(client);
    }
  }

  all(): Violation[] {
    return [...this.#byFault.values()].sort(
      (a, b) => violationClasses.indexOf(a.class) - violationClasses.indexOf(b.class),
    );
  }
}

/** For an assertion's message: how many of each class, then the first few in full. */
export function formatViolations(violations: readonly Violation[], shownMax = 10): string {
  if (violations.length === 0) return 'no violation';
  const counts = Map.groupBy(violations, (violation) => violation.class);
  const summary = [...counts].map(([name, list]) => `${list.length} ${name}`).join(', ');
  const lines = violations
    .slice(0, shownMax)
    .map(
      ({ class: name, tenant, topic, epoch, clients, sentence }) =>
        `  ${name} in ${tenant}|${topic} (epoch ${epoch}): ${sentence} [${clients.join(', ')}]`,
    );
  if (violations.length > shownMax) lines.push(`  and ${violations.length - shownMax} more`);
  return `${summary}\n${lines.join('\n')}`;
}
