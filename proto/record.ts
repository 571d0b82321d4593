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
  storeQuery: 16,
  storeResult: 17,
  storeCopied: 18,
  storeHealth: 19,
  topicLost: 20,
  sessionLost: 21,
  topicAmend: 22,
  userAmend: 23,
  topicMark: 24,
  userMark: 25,
  userReceipt: 26,
  storeHeard: 27,
  logsForget: 28,
  userResume: 29,
  userPark: 30,
  userTell: 31,
  sessionReplace: 32,
  topicEnter: 33,
  topicLeave: 34,
  topicMembers: 35,
  userPresences: 36,
  topicTyping: 37,
  userTyping: 38,
  shardQuery: 39,
  topicMember: 40,
  sessionHide: 41,
  userForget: 42,
} as const;

/**
 * How a delivery leaves a shard: 'urgent' waits for no company; 'low' and 'typing' are dropped first, when their client or
 * the ring does not keep up.
 */
export type DeliveryClass = 'normal' | 'urgent' | 'low' | 'typing';

/** What a mark says of everything up to it. */
export type ReceiptKind = 'delivered' | 'read';

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

/** A message is edited, or deleted when there is no payload. */
export type AmendmentBody = [
  target: MessageId,
  from: UserId,
  mayAmendAny: boolean,
  payload: Uint8Array | null,
];

export type AcceptedBody = [
  ok: true,
  messageId: MessageId,
  duplicate: boolean,
  offset: number | null,
  epoch: string | null,
  atMs: number | null,
];
export type DoneBody = [ok: true];
/** An object of the two ends, by wire/codec.ts. */
export type ResultBody = [ok: true, result: Uint8Array];
/** Of a subscription to a log. `frames` are what was missed, complete WebSocket frames of the lane, up to `replayedTo`. */
export type JoinedBody = [
  ok: true,
  isLive: boolean,
  offset: number,
  epoch: string,
  recovered: boolean | null,
  replayedTo: number,
  frameCount: number,
  frames: Uint8Array,
];
/** What a subscriber has already; up to `upTo` is missing, or all that there is. */
export type SinceBody = [offset: number, epoch: string, upTo: number | null];
export type RefusedBody = [ok: false, code: ErrorCode, message: string, retryAfterMs: number | null];

/** Bodies by kind. `answer` closes a request of the same correlation. */
export interface RecordBodies {
  answer: AcceptedBody | DoneBody | ResultBody | JoinedBody | RefusedBody;
  topicSubscribe: [topic: TopicKey, ...LaneSpec, since: SinceBody | null];
  /** A lane that the home forgot when its thread was restarted; nobody waits for an answer. */
  topicResubscribe: [topic: TopicKey, ...LaneSpec];
  topicUnsubscribe: [topic: TopicKey, ...LaneSpec];
  topicPublish: [topic: TopicKey, ...PublicationBody];
  topicAmend: [topic: TopicKey, ...AmendmentBody];
  /** A direct message: in the inbox of `user`, and of `other` where that is somebody else. */
  userAmend: [user: UserKey, other: UserKey, ...AmendmentBody];
  /** How far a user is. Of an inbox the user is its owner. */
  topicMark: [topic: TopicKey, user: UserId, kind: ReceiptKind, offset: number];
  userMark: [user: UserKey, kind: ReceiptKind, offset: number];
  /** To the home of who wrote it: `by` got or read the conversation up to that offset of the writer's inbox. */
  userReceipt: [user: UserKey, by: UserId, kind: ReceiptKind, offset: number];
  /** `frames` are complete WebSocket frames of one lane and flush, joined. */
  topicDeliver: [
    topic: TopicKey,
    encoding: Encoding,
    filter: string,
    frameCount: number,
    frames: Uint8Array,
    delivery: DeliveryClass,
    upTo: number,
  ];
  /** To the peer: deliveries of this lane were lost on the way, and none follow. */
  topicLost: [topic: TopicKey, ...LaneSpec];
  userAttach: [
    user: UserKey,
    session: SessionId,
    encoding: Encoding,
    since: SinceBody | null,
    tokenHash: string | null,
    told: Uint8Array | null,
  ];
  /** The session is over, and nobody will resume it. */
  userDetach: [user: UserKey, session: SessionId];
  /** What a session would be resumed with, when that has changed: a SessionTold, packed as an object. */
  userTell: [user: UserKey, session: SessionId, told: Uint8Array];
  /** The session lost its connection, and may be resumed. */
  userPark: [user: UserKey, session: SessionId, told: Uint8Array, tokenHash: string];
  /** Nobody may take over what this user has lost. */
  userForget: [user: UserKey];
  /** `session` takes over what `former` was. Answered with a SessionTold. */
  userResume: [user: UserKey, session: SessionId, former: SessionId, tokenHash: string];
  /** Another connection takes this session over: it closes and parks. */
  sessionReplace: [session: SessionId];
  /** Another device of their user is invisible, or is not any more. */
  sessionHide: [sessions: SessionId[], isHidden: boolean];
  /** How users are: answered with their presences. Somebody of the tenant asks. */
  userPresences: [users: UserKey[]];
  /** A session is a member of a topic, or is so in another way; answered with who is there. */
  topicEnter: [topic: TopicKey, user: UserId, session: SessionId, presence: Uint8Array];
  /** A member is there in another way. */
  topicMember: [topic: TopicKey, user: UserId, session: SessionId, presence: Uint8Array];
  /** `isLost`: the connection broke, and the member may come back. */
  topicLeave: [topic: TopicKey, user: UserId, session: SessionId, isLost: boolean];
  topicMembers: [topic: TopicKey, after: UserId | null, limit: number];
  topicTyping: [topic: TopicKey, user: UserId, active: boolean];
  userTyping: [to: UserKey, from: UserId, active: boolean];
  /** A question about the sessions of a shard, for administrators: by its name in SessionQueries. */
  shardQuery: [name: string, request: Uint8Array];
  /** To the recipient's home: asks to accept a message. `except` is the sending session, which gets a reply instead. */
  userDirect: [to: UserKey, sender: UserKey, except: SessionId | null, ...PublicationBody];
  /** To the sender's home: a message that was accepted and is not stored, for the sender's other devices. */
  userCopy: [sender: UserKey, to: UserId, except: SessionId | null, messageId: MessageId, ...PublicationBody];
  /** `inboxOffset`: of the last frame, where it is of the inbox; 0 where it has none. */
  sessionDeliver: [
    sessions: SessionId[],
    inboxOffset: number,
    frameCount: number,
    frames: Uint8Array,
    delivery: DeliveryClass,
  ];
  /** What their inbox got was lost on the way, and nothing follows until they attach again. */
  sessionLost: [sessions: SessionId[]];

  /** The store's first word on a new link. */
  storeHello: [epoch: string];
  storeAppend: StoreEntryBody;
  /** What a store thread before this one was asked and has not answered; by its message id it is stored once. */
  storeReappend: StoreEntryBody;
  storeAppended: StoreAppendedBody;
  storeCopied: StoreCopiedBody;
  /** To a home that may not know: the entry at that offset is stored. */
  storeHeard: [topic: TopicKey, offset: number];
  /** What is at hand of all logs may hold what was erased. */
  logsForget: [];
  /** A question by its name in StoreQueries, and its answer; both packed as objects (wire/codec.ts). */
  storeQuery: [name: string, request: Uint8Array];
  storeResult: [ok: true, result: Uint8Array] | [ok: false];
  /** The breaker in front of the database opened, or closed again. */
  storeHealth: [isUp: boolean];
}

export type StoreEntryBody = [
  kind: 'message' | 'edited' | 'deleted',
  topic: TopicKey,
  messageId: MessageId,
  target: MessageId | null,
  mayAmendAny: boolean,
  from: UserId,
  peer: UserId | null,
  copy: StoreCopy | null,
  key: string | null,
  digest: number,
  event: string | null,
  priority: Priority | null,
  timestampMs: number,
  payload: Uint8Array,
];

/** The other inbox of a direct message, the shard that is its home, and the session that needs no copy. */
export type StoreCopy = [topic: TopicKey, peer: UserId, home: ShardId, except: SessionId | null];

/** To the home of the other inbox, in the order of its offsets. `message` is a StoredMessage, packed as an object. */
export type StoreCopiedBody = [topic: TopicKey, except: SessionId | null, message: Uint8Array];

/** `full`: the queue of the store. `unavailable`: it could not store it. Nothing is stored in all but the first two. */
export type StoreAppendedBody =
  | [state: 'stored', offset: number, copyOffset: number | null]
  | [state: 'duplicate', offset: number, copyOffset: number | null, messageId: MessageId]
  | [state: 'conflict' | 'missing' | 'forbidden' | 'full' | 'unavailable'];

export interface RecordHeader {
  kind: RecordKind;
  flags: number;
  fromShard: ShardId;
  correlation: number;
  writtenAtMs: number;
}
