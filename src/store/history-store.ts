/**
 * The seam of everything durable: topics as logs of messages with offsets.
 * Thread: store. Called by group-commit.ts (append) and the readers of history. Behind it: SQLite in DATA_DIR, or memory in
 * tests of what lies above; one contract suite (test/contract/history-store.ts) says what each of them must do.
 *
 * Promises of every backend:
 * - What `append` answered as stored survives the death of the process, and of the machine as far as its disk is honest.
 * - A batch is stored as a whole or not at all, in its order; offsets of a topic start at 1 and have no holes.
 * - `append` is idempotent by message id: the same batch again answers the same.
 */
import type { Priority } from '#proto/data.ts';
import type { MessageId, TopicKey, UserId } from '#proto/names.ts';

/** A message that asks for its place in a topic. */
export interface AppendEntry {
  topic: TopicKey;
  messageId: MessageId;
  from: UserId;
  /** Idempotency key of the sender in this topic. */
  key: string | undefined;
  /** Of the body: tells a repeated message from another one under the same key. */
  digest: number;
  event: string | undefined;
  priority: Priority | undefined;
  /** msgpack. */
  payload: Uint8Array;
  /** When the server accepted it, wall clock, milliseconds. */
  timestampMs: number;
}

export type AppendResult =
  | { state: 'stored'; offset: number }
  /** The key was used before by the same sender with the same body: this is what became of it. */
  | { state: 'duplicate'; messageId: MessageId; offset: number }
  /** The key was used before with another body. */
  | { state: 'conflict' };

export interface StoredMessage {
  offset: number;
  messageId: MessageId;
  from: UserId;
  event: string | undefined;
  priority: Priority | undefined;
  payload: Uint8Array;
  timestampMs: number;
}

/** `after`: the oldest beyond it, and below `before` if given. `before` alone: the youngest below it. Neither: the youngest. */
export interface PageRequest {
  topic: TopicKey;
  after?: number;
  before?: number;
  /** 1..1,000 messages. */
  limit: number;
}

/** Oldest first, whichever way it was asked. */
export interface Page {
  messages: StoredMessage[];
  /** There are more in the direction that was asked. */
  hasMore: boolean;
}

export interface HistoryStore {
  /** Identity of this log's life: with another epoch the offsets that a client remembers mean nothing. */
  readonly epoch: string;
  /**
   * One result per entry, in order. Rejects with StoreUnavailableError when nothing of the batch is stored; a backend that
   * cannot know (the connection broke behind COMMIT) finds out by the message ids before it answers.
   */
  append(entries: readonly AppendEntry[]): Promise<AppendResult[]>;
  /** Of the last message; 0 for a topic that has none. */
  lastOffset(topic: TopicKey): Promise<number>;
  page(request: PageRequest): Promise<Page>;
  close(): Promise<void>;
}

/** The store cannot do its work now; `cause` says why. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}
