/**
 * Idempotency keys that a shard remembers: the same key answers with the first result, another body is a conflict.
 * Bounded by age and by count; past the count the oldest is forgotten early. [PUB3]
 */
import type { Clock } from '#kit/clock.ts';
import { digestBytes } from '#kit/hash.ts';
import type { MessageIds } from '#kit/message-id.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import type { MessageId } from '#proto/names.ts';

/** Volatile and cached topics promise five minutes (protocol section 3). */
const rememberMs = 5 * 60_000;
/** About 20 MB when full. At a steady 300 keyed messages/s and shard, five minutes fit. */
const keysMax = 100_000;

interface Remembered {
  digest: number;
  messageId: MessageId;
  untilMs: number;
}

/** `new`: deliver it under this id. `duplicate`: it was, under this id. `conflict`: same key, other body. */
export type KeyVerdict =
  | { state: 'new' | 'duplicate'; messageId: MessageId }
  | { state: 'conflict'; refusal: Refusal };

export class RecentKeys {
  readonly #clock: Clock;
  /** In the order of insertion, which is the order of expiry. */
  readonly #keys = new Map<string, Remembered>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#keys.size;
  }

  /**
   * What to do with a message. `scope` is where its key counts: a topic or user, and the sender. Without a key it is
   * always new. `messageIds` gives a new one its id.
   */
  accept(scope: string, key: string | undefined, body: Uint8Array, messageIds: MessageIds): KeyVerdict {
    if (key === undefined) return { state: 'new', messageId: messageIds.next() as MessageId };
    const nowMs = this.#clock.monotonicMs();
    const name = `${scope}\n${key}`; // no scope has a line break, so that no key can spell another's scope
    const digest = digestBytes(body);
    const remembered = this.#keys.get(name);
    if (remembered !== undefined && remembered.untilMs > nowMs) {
      if (remembered.digest === digest) return { state: 'duplicate', messageId: remembered.messageId };
      return {
        state: 'conflict',
        refusal: refusal('key_conflict', `the key "${key}" was used before with another body`),
      };
    }
    const messageId = messageIds.next() as MessageId;
    this.#remember(name, { digest, messageId, untilMs: nowMs + rememberMs }, nowMs);
    return { state: 'new', messageId };
  }

  #remember(name: string, entry: Remembered, nowMs: number): void {
    this.#keys.delete(name);
    this.#keys.set(name, entry);
    for (const [oldest, { untilMs }] of this.#keys) {
      if (untilMs > nowMs && this.#keys.size <= keysMax) break;
      this.#keys.delete(oldest);
    }
  }
}
