/**
 * Records: what threads say to each other through rings. A fixed routing header and a msgpack body.
 * Both ends run the same release, so bodies are tuples: positions, not names.
 *
 *    0        1          2             4                8                           16
 *   +--------+----------+-------------+----------------+---------------------------+--------------+
 *   | kind   | flags    | from shard  | correlation    | written at, ms (float64)  | body ...     |
 *   | uint8  | uint8    | uint16      | uint32         | monotonic                 | msgpack      |
 *   +--------+----------+-------------+----------------+---------------------------+--------------+
 */

import type { Priority } from './data.ts';
import type { Encoding } from './envelope.ts';
import type { ErrorCode } from './error-codes.ts';
import type { MessageId, SessionId, ShardId, TopicKey, UserId, UserKey } from './names.ts';

export const recordHeader = {
  kindOffset: 0,
  flagsOffset: 1,
  fromShardOffset: 2,
  correlationOffset: 4,
  writtenAtMsOffset: 8,
  bytes: 16,
} as const;

/** The body goes on in the next record of the same ring: it did not fit into one. */
export const flagContinues = 1;

/** Numbers are part of the layout: append-only within a release, free to change between releases. */
export const recordKinds = {
  answer: 1,
  topicSubscribe: 2,
  topicUnsubscribe: 3,
  topicPublish: 4,
  topicDeliver: 5,
  userAttach: 6,
  userDetach: 7,
  userDirect: 8,
  sessionDeliver: 9,
  topicResubscribe: 10,
  userCopy: 11,
  storeHello: 12,
  storeAppend: 13,
  storeReappend: 14,
  storeAppended: 15,
  storePage: 16,
  storePaged: 17,
} as const;

export type RecordKind = keyof typeof recordKinds;

/** A lane of a topic: everyone who gets exactly the same bytes. `filter` is canonical JSON, '' for none. */
export type LaneSpec = [encoding: Encoding, filter: string];

/** What is published, before it has an id. `payload` is msgpack, packed once by the sender's shard. */
export type PublicationBody = [
  from: UserId,
  payload: Uint8Array,
  event: string | null,
  priority: Priority | null,
  ttlMs: number | null,
  key: string | null,
];

export type AcceptedBody = [
  ok: true,
  messageId: MessageId,
  duplicate: boolean,
  offset: number | null,
  epoch: string | null,
];
export type DoneBody = [ok: true];
export type RefusedBody = [ok: false, code: ErrorCode, message: string, retryAfterMs: number | null];

/** Bodies by kind. `answer` closes a request of the same correlation. */
export interface RecordBodies {
  answer: AcceptedBody | DoneBody | RefusedBody;
  topicSubscribe: [topic: TopicKey, ...LaneSpec];
  /** A lane that the home forgot when its thread was restarted; nobody waits for an answer. */
  topicResubscribe: [topic: TopicKey, ...LaneSpec];
  topicUnsubscribe: [topic: TopicKey, ...LaneSpec];
  topicPublish: [topic: TopicKey, ...PublicationBody];
  /** `frames` are complete WebSocket frames of one lane and flush, joined. */
  topicDeliver: [topic: TopicKey, encoding: Encoding, filter: string, frameCount: number, frames: Uint8Array];
  userAttach: [user: UserKey, session: SessionId, encoding: Encoding];
  userDetach: [user: UserKey, session: SessionId];
  /** To the recipient's home: asks to accept a message. `except` is the sending session, which gets a reply instead. */
  userDirect: [to: UserKey, sender: UserKey, except: SessionId | null, ...PublicationBody];
  /** To the sender's home: a message that was accepted, for the sender's other devices. */
  userCopy: [sender: UserKey, to: UserId, except: SessionId | null, messageId: MessageId, ...PublicationBody];
  sessionDeliver: [sessions: SessionId[], frameCount: number, frames: Uint8Array];

  /** The store's first word on a new link. */
  storeHello: [epoch: string];
  storeAppend: StoreEntryBody;
  /** What a store thread before this one was asked and has not answered; by its message id it is stored once. */
  storeReappend: StoreEntryBody;
  storeAppended: StoreAppendedBody;
  storePage: [topic: TopicKey, after: number | null, before: number | null, limit: number];
  storePaged:
    | [ok: true, lastOffset: number, hasMore: boolean, ...messages: StoredMessageBody[]]
    | [ok: false];
}

export type StoreEntryBody = [
  topic: TopicKey,
  messageId: MessageId,
  from: UserId,
  key: string | null,
  digest: number,
  event: string | null,
  priority: Priority | null,
  timestampMs: number,
  payload: Uint8Array,
];

/** `full`: the queue of the store. `unavailable`: it could not store it. Nothing is stored in both. */
export type StoreAppendedBody =
  | [state: 'stored', offset: number]
  | [state: 'duplicate', offset: number, messageId: MessageId]
  | [state: 'conflict' | 'full' | 'unavailable'];

export type StoredMessageBody = [
  offset: number,
  messageId: MessageId,
  from: UserId,
  event: string | null,
  priority: Priority | null,
  timestampMs: number,
  payload: Uint8Array,
];

export interface RecordHeader {
  kind: RecordKind;
  flags: number;
  fromShard: ShardId;
  correlation: number;
  writtenAtMs: number;
}
