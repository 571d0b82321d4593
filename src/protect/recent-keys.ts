/**
 * Gives accepted messages their ids. A message with an idempotency key gets one once: the same key answers with the first
 * result, another body under it is a conflict. Called by the topic and user actors of a shard.
 * Bounded by age and by count; past the count the oldest is forgotten early. What a shard remembers ends with it. [PUB3]
 */
import type { Clock } from '#kit/clock.ts';
import { digestBytes, hashString } from '#kit/hash.ts';
import type { MessageIds } from '#kit/message-id.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import type { MessageId, TopicKey, UserKey } from '#proto/names.ts';

/** Volatile and cached topics promise five minutes (protocol section 3). */
const rememberMs = 5 * 60_000;
/** About 20 MB when full. At a steady 300 keyed messages/s and shard, five minutes fit. */
const keysMax = 100_000;

interface Remembered {
  digest: number;
  messageId: MessageId;
  untilMs: number;
}

/** What of a message is compared when its key comes again. */
export interface KeyedMessage {
  key?: string | undefined;
  event?: string | undefined;
  payload: { msgpack: Uint8Array };
}

/** `isNew`: deliver it under this id. Otherwise the answer says what it was. */
export type Acceptance =
  | { isNew: true; answer: { ok: true; messageId: MessageId; isDuplicate: false } }
  | {
      isNew: false;
      answer: { ok: true; messageId: MessageId; isDuplicate: true } | { ok: false; refusal: Refusal };
    };

export interface AcceptanceCounters {
  accepted(): void;
  duplicate(): void;
}

export class RecentKeys {
  readonly #clock: Clock;
  readonly #messageIds: MessageIds;
  readonly #counters: AcceptanceCounters;
  /** In the order of insertion, which is the order of expiry. */
  readonly #keys = new Map<string, Remembered>();

  constructor(clock: Clock, messageIds: MessageIds, counters: AcceptanceCounters) {
    this.#clock = clock;
    this.#messageIds = messageIds;
    this.#counters = counters;
  }

  get size(): number {
    return this.#keys.size;
  }

  /**
   * A key counts where it is sent to, a topic or user, and for its sender. Without a key a message is always new, and no
   * string is made.
   */
  accept(
    kind: 'topic' | 'user',
    place: TopicKey | UserKey,
    sender: string,
    message: KeyedMessage,
  ): Acceptance {
    if (message.key === undefined) return this.#accepted(this.#messageIds.next() as MessageId);
    const nowMs = this.#clock.monotonicMs();
    // No name has a line break, so that no key can spell another's scope.
    const name = `${kind}|${place}|${sender}\n${message.key}`;
    const digest = digestOf(message);
    const remembered = this.#keys.get(name);
    if (remembered !== undefined && remembered.untilMs > nowMs) {
      return this.#repeated(remembered, digest, message.key);
    }
    const messageId = this.#messageIds.next() as MessageId;
    this.#remember(name, { digest, messageId, untilMs: nowMs + rememberMs }, nowMs);
    return this.#accepted(messageId);
  }

  #accepted(messageId: MessageId): Acceptance {
    this.#counters.accepted();
    return { isNew: true, answer: { ok: true, messageId, isDuplicate: false } };
  }

  #repeated({ digest, messageId }: Remembered, digestNow: number, key: string): Acceptance {
    if (digest !== digestNow) {
      return { isNew: false, answer: { ok: false, refusal: keyConflict(key) } };
    }
    this.#counters.duplicate();
    return { isNew: false, answer: { ok: true, messageId, isDuplicate: true } };
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

/** Of the body: payload and event. How urgent it is, and for how long, may differ from one try to the next. */
export function digestOf({ payload, event }: KeyedMessage): number {
  const digest = digestBytes(payload.msgpack);
  // An exact integer, as the store keeps it.
  return event === undefined ? digest : (digest + hashString(event)) % Number.MAX_SAFE_INTEGER;
}

export function keyConflict(key: string): Refusal {
  return refusal('key_conflict', `the key "${key}" was used before with another body`);
}
