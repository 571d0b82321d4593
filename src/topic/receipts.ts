/**
 * How far the users of a small topic are, told to its subscribers.
 * Thread: the topic's home shard. Owned by topic.ts. In a large topic nobody is told: a message to n readers would bring n
 * receipts to each of them. `DeliveryStatus` answers there as well.
 */
import type { TopicName, UserId } from '#proto/names.ts';
import type { ReceiptKind } from '#proto/record.ts';
import type { Notice } from '../fanout/flush-batch.ts';

/** Users who leave marks; beyond, the topic is a large one. */
const usersMax = 32;

interface Mark {
  user: UserId;
  kind: ReceiptKind;
  offset: number;
  isTold: boolean;
}

export class Receipts {
  /** By user and kind. Made with the first mark: most topics have none. */
  #marks: Map<string, Mark> | undefined;
  #waitingCount = 0;
  /** Too many users leave marks: nobody is told for the life of this actor. */
  #isLarge = false;

  get isEmpty(): boolean {
    return this.#waitingCount === 0;
  }

  /** True when there is something to tell. */
  add(user: UserId, kind: ReceiptKind, offset: number): boolean {
    if (this.#isLarge) return false;
    this.#marks ??= new Map();
    const name = `${user}|${kind}`;
    const known = this.#marks.get(name);
    if (known !== undefined && known.offset >= offset) return false;
    this.#marks.set(name, { user, kind, offset, isTold: false });
    if (known?.isTold ?? true) this.#waitingCount++;
    if (this.#marks.size <= 2 * usersMax) return true;
    this.#isLarge = true;
    this.#marks = undefined;
    this.#waitingCount = 0;
    return false;
  }

  /** What waits to be told, once. */
  take(topic: TopicName | undefined, timestamp: number): Notice[] {
    if (this.#waitingCount === 0 || this.#marks === undefined) return [];
    this.#waitingCount = 0;
    const news = [...this.#marks.values()].filter(({ isTold }) => !isTold);
    for (const mark of news) mark.isTold = true;
    return news.map(({ user, kind, offset }) => ({
      envelope: { type: 'Receipt', data: { topic, user, kind, offset }, timestamp },
      delivery: 'normal',
    }));
  }
}
