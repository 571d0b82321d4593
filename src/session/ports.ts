/** What a session needs of the world around it: its connection, topics, users, tokens, time, counters. */
import type { Clock } from '#kit/clock.ts';
import type { MessageIds } from '#kit/message-id.ts';
import type { TimerWheel } from '#kit/timer-wheel.ts';
import type { CloseName } from '#proto/close-codes.ts';
import type { Encoding } from '#proto/envelope.ts';
import type { ErrorCode } from '#proto/error-codes.ts';
import type { SessionId, ShardId, TopicKey, TopicName, UserId, UserKey } from '#proto/names.ts';
import type { DeliveryClass, LaneSpec, ReceiptKind } from '#proto/record.ts';
import type { TokenVerifier } from '../auth/verify-token.ts';
import type { LaneBatch } from '../fanout/flush-batch.ts';
import type { QueryRequest } from '../log/ports.ts';
import type { DevicePresence } from '../presence/device-presence.ts';
import type { SessionName, SessionTold } from '../presence/session-told.ts';
import type { BucketRate } from '../protect/token-bucket.ts';
import type { TopicClass } from '../routing/topic-class.ts';
import type { StoreQueryName } from '../store/history-store.ts';
import type { Amendment, Answer, Message, Since } from '../wire/message.ts';

/** Everything a session is given; one object for all sessions of a shard. */
export interface SessionContext {
  clock: Clock;
  /** Names of failures, told to the client and logged. */
  correlations: MessageIds;
  timers: TimerWheel;
  limits: SessionLimits;
  node: NodeFacts;
  tokens: TokenVerifier;
  topics: TopicPort;
  users: UserPort;
  presence: PresencePort;
  history: HistoryPort;
  resumeTokens: ResumeTokens;
  /** What a topic promises, by the rules of the configuration. */
  classOf(topic: TopicName): TopicClass;
  /** What is durable is taken, as far as this shard knows. */
  isStoreUp: () => boolean;
  schedule: SchedulePort;
  /** The session is over: nobody finds it any more. */
  onEnded(session: SessionId): void;
  counters: SessionCounters;
  log: SessionLog;
}

/** From the configuration. */
export interface SessionLimits {
  messageBytesMax: number;
  subscriptionsMax: number;
  outboxBytesMax: number;
  heartbeatIntervalMs: number;
  clientTimeoutMs: number;
  /** A user who does nothing for so long is away, milliseconds. */
  awayAfterMs: number;
  /** Users whose presence one connection follows. */
  watchedUsersMax: number;
  /** A lost connection may be resumed for so long, milliseconds. */
  sessionTtlMs: number;
  /** Undefined: no limit. */
  envelopeRate: BucketRate | undefined;
}

/** What `Status Connect` tells about the server. */
export interface NodeFacts {
  nodeId: string;
  shard: ShardId;
  version: string;
}

/** The connection under a session; three verbs and a gauge. */
export interface Transport {
  /** Complete frames, in one buffer or several: one write. False: the client has said that it goes, and gets nothing. */
  write(frames: Uint8Array | Uint8Array[]): boolean;
  /** Bytes written and not yet taken by the kernel. */
  bufferedBytes(): number;
  /** Stop and go of reading: backpressure towards the client. */
  pauseReading(): void;
  resumeReading(): void;
  ping(): void;
  /** A close frame, then the end; forced after a second for a peer that does not answer. */
  close(code: number, reason: string): void;
}

/** Names one request on its way to a home and back. */
export type Correlation = number;

/** A request to a home: answered at once when the home is here, later by `onAnswer` when it is elsewhere. */
export type Requested =
  | { state: 'answered'; answer: Answer }
  | { state: 'pending'; correlation: Correlation };

/** Who is told the answer of a pending request, exactly once. */
export interface AnswerReceiver {
  onAnswer(correlation: Correlation, answer: Answer): void;
}

/** Complete frames for one session. */
export type DirectFrames = Omit<LaneBatch, 'upTo'>;

/** Who gets the frames of a lane. */
export interface Subscriber {
  deliver(frames: Uint8Array, frameCount: number, delivery: DeliveryClass): void;
  /** Something of a topic that is stored was lost on its way here, and nothing follows. */
  onLost(topic: TopicName, reason: string): void;
}

export interface TopicPort {
  /**
   * When answered ok, `subscriber` is on the lane, unless the answer says that it is not live: nothing accepted after the
   * answer is missed. Of a topic with a log the answer says what became of `since`.
   */
  subscribe(
    topic: TopicKey,
    lane: LaneSpec,
    subscriber: Subscriber,
    since: Since | undefined,
    receiver: AnswerReceiver,
  ): Requested;
  /** Also for a subscription that is still pending. */
  unsubscribe(topic: TopicKey, lane: LaneSpec, subscriber: Subscriber): void;
  /** Of the last message that the lane's subscribers got here; 0 where none had one. */
  deliveredUpTo(topic: TopicKey, lane: LaneSpec): number;
  publish(topic: TopicKey, message: Message, receiver: AnswerReceiver): Requested;
  amend(topic: TopicKey, amendment: Amendment, receiver: AnswerReceiver): Requested;
  /** `user` has everything of the topic up to `offset`. */
  mark(topic: TopicKey, user: UserId, mark: LogMark, receiver: AnswerReceiver): Requested;
}

export interface LogMark {
  kind: ReceiptKind;
  offset: number;
}

/** What is stored, whoever's home it is. */
export interface HistoryPort {
  /** Of the store; undefined until it has said it for the first time. */
  readonly epoch: string | undefined;
  /** Answered with a `result` of that question. */
  ask<Name extends StoreQueryName>(
    name: Name,
    request: QueryRequest<Name>,
    receiver: AnswerReceiver,
  ): Requested;
}

export interface UserPort {
  homeOf(user: UserKey): ShardId;
  /**
   * When answered ok, direct messages reach the session, unless the answer says that it is not live. Asked again with
   * `since` for what it missed of the inbox.
   */
  attach(
    user: UserKey,
    session: AttachingSession,
    since: Since | undefined,
    receiver: AnswerReceiver,
  ): Requested;
  /** The session is over, and nobody will resume it. */
  detach(user: UserKey, session: SessionId): void;
  /** What the session would be resumed with has changed. */
  tell(user: UserKey, session: SessionId, told: SessionTold): void;
  /** The session lost its connection. An empty `tokenHash`: nobody can resume it. */
  park(user: UserKey, session: { id: SessionId; tokenHash: string }, told: SessionTold): void;
  /** Nobody may take over what this user has lost, as far as the home knows of it. */
  forget(user: UserKey): void;
  /** `session` goes on where `former` ended; answered with a `result`, what that had told. */
  resume(user: UserKey, session: SessionId, former: SessionName, receiver: AnswerReceiver): Requested;
  /** `session` is the sending one, which gets no copy; null when it is not a session. */
  direct(
    to: UserKey,
    message: Message,
    from: UserKey,
    session: SessionId | null,
    receiver: AnswerReceiver,
  ): Requested;
  /** A direct message between `user` and `other`, which may be the same. */
  amend(user: UserKey, other: UserKey, amendment: Amendment, receiver: AnswerReceiver): Requested;
  /** The user has everything of the own inbox up to `offset`. */
  mark(user: UserKey, mark: LogMark, receiver: AnswerReceiver): Requested;
}

export interface AttachingSession {
  id: SessionId;
  encoding: Encoding;
  /** Of its resume token. */
  tokenHash: string;
  /** Of one that attaches again: what it would be resumed with. */
  told?: SessionTold | undefined;
}

/** Who is there, and who is writing. */
export interface PresencePort {
  /** Answered with a `result`: UserPresence of each, in the order asked. */
  users(users: readonly UserKey[], receiver: AnswerReceiver): Requested;
  /** A member comes, or is there in another way; answered with a `result`, a MembersPage. */
  enter(topic: TopicKey, member: TopicMember, receiver: AnswerReceiver): Requested;
  /** A member is there in another way. */
  change(topic: TopicKey, member: TopicMember): void;
  /** `isLost`: the connection broke, and the member may come back. */
  leave(topic: TopicKey, user: UserId, session: SessionId, isLost: boolean): void;
  /** Answered with a `result`, a MembersPage. */
  members(topic: TopicKey, after: UserId | undefined, limit: number, receiver: AnswerReceiver): Requested;
  typingInTopic(topic: TopicKey, user: UserId, isActive: boolean): void;
  typingTo(to: UserKey, from: UserId, isActive: boolean): void;
}

export interface TopicMember {
  user: UserId;
  session: SessionId;
  presence: DevicePresence;
}

/** Makes the proofs that clients resume their sessions with. */
export interface ResumeTokens {
  next(): string;
  hashOf(token: string): string;
}

/** How a session asks for its turn. */
export interface SchedulePort {
  /** It has envelopes waiting: run its slice soon. Idempotent. */
  requestSlice(session: Runnable): void;
  /** It has frames waiting: write them at the end of this turn. Idempotent. */
  requestWrite(outbox: Writable): void;
}

/**
 * Where one waits for its turn. `joining`: to subscribe, which thousands do at once when the home of their topic came back.
 * `deferred`: a newcomer, or what is left to do of a connection that is gone. `ready`: everyone else, who waits for neither.
 */
export type Row = 'ready' | 'joining' | 'deferred';

export interface Runnable {
  readonly row: Row;
  /** Handles up to `envelopesMax`; true while more wait. */
  runSlice(envelopesMax: number): boolean;
}

export interface Writable {
  write(): void;
}

export interface SessionCounters {
  opened(): void;
  closed(code: number): void;
  received(envelopes: number, bytes: number): void;
  sent(frames: number, bytes: number): void;
  errored(code: ErrorCode): void;
  subscriptions(change: number): void;
  mailbox(change: number): void;
  mailboxFull(outcome: 'paused' | 'refused'): void;
  wrote(): void;
  slowConsumer(): void;
  /** Not delivered because the client does not keep up. */
  dropped(delivery: 'low' | 'typing', frames: number): void;
  failed(): void;
}

export interface SessionLog {
  /** A handler threw: `correlation` is what the client was told. */
  failed(session: SessionId, correlation: string, error: unknown): void;
  opened(session: SessionId, user: UserKey, encoding: Encoding): void;
  closed(session: SessionId, close: CloseName | number): void;
}
