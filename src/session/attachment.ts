/**
 * How the homes come to know of a session: its user's home, which has the inbox, and the topic of broadcasts to everyone.
 * Thread: shard. Owned by session.ts; made when the token is good, undone when the session ends.
 * It is the subscriber on everyone's lane in the session's stead, so that no `Subscribe` of a client can meet it there.
 * A home that is being restarted, or cannot be reached, is told again, and what the inbox got meanwhile is caught up
 * with. [SES1]
 */
import type { Encoding } from '#proto/envelope.ts';
import { errorCodes, type Refusal } from '#proto/error-codes.ts';
import {
  everyoneTopic,
  inboxOf,
  type SessionId,
  type ShardId,
  type TopicKey,
  tenantOfKey,
  topicKey,
  type UserKey,
  userKey,
  userOfKey,
} from '#proto/names.ts';
import type { DeliveryClass, LaneSpec } from '#proto/record.ts';
import type { Identity } from '../auth/token-claims.ts';
import { nothingTold, type SessionTold } from '../presence/session-told.ts';
import type { Answer, Joined, Position, Since } from '../wire/message.ts';
import type {
  AnswerReceiver,
  AttachingSession,
  Correlation,
  Requested,
  SessionContext,
  Subscriber,
} from './ports.ts';
import { Recovery, type RecoveryContext, type RecoverySource } from './recovery.ts';

/** How soon a home that was not reachable is told again, milliseconds. */
const retryMs = 500;

export interface AttachedSession extends Subscriber {
  readonly id: SessionId;
  readonly encoding: Encoding;
  /** Of its resume token. */
  readonly tokenHash: string;
  readonly isOpen: boolean;
  /** `Connect` was sent. */
  readonly isLive: boolean;
  /** What it would be resumed with; undefined before it is live. */
  toldAgain(): SessionTold | undefined;
  /** All homes know of the session; again after each time that one had to be told anew. */
  onAttached(): void;
  onAttachRefused(reason: Refusal): void;
  /** Asks to call `attach` in a while. */
  attachAfter(waitMs: number): void;
  /** What the inbox got when its home was away is not kept any more. */
  onInboxHole(): void;
  readonly outboxBytes: number;
}

type ResumableSession = Pick<AttachedSession, 'id' | 'encoding' | 'tokenHash' | 'toldAgain'>;

export type AttachmentContext = RecoveryContext & Pick<SessionContext, 'topics' | 'users' | 'classOf'>;

/** `undefined`: must be told; a correlation: was told and has not answered. */
type HomeState = 'knows' | Correlation | undefined;

export class Attachment implements Subscriber, AnswerReceiver {
  readonly #session: AttachedSession;
  readonly #ctx: AttachmentContext;
  readonly #user: UserKey;
  readonly #everyone: TopicKey;
  #userHome: HomeState;
  #everyoneHome: HomeState;
  #hasAskedUser = false;
  /** The end of the inbox when the session began: all behind it is delivered by itself. Undefined where none is stored. */
  #inboxAtStart: Position | undefined;
  /** Of the youngest entry of the inbox that the client has. */
  #inboxOffset = 0;
  /** Of the youngest entry that it surely has, and of the youngest that went before the last ping. */
  #inboxSure = 0;
  #inboxPinged = 0;
  /** While a stretch that came before this session is read: up to where. */
  #catchUp: { readonly offset: number } | undefined;
  /** Until the home has answered with what was left out meanwhile. */
  #isSuspended = false;
  /** Something was left out while a stretch was read. */
  #isBehind = false;
  /** While it catches up with what the inbox got when its home was away. */
  #recovery: Recovery | undefined;

  constructor(session: AttachedSession, { tenant, userId }: Identity, ctx: AttachmentContext) {
    this.#session = session;
    this.#ctx = ctx;
    this.#user = userKey(tenant, userId);
    this.#everyone = topicKey(tenant, everyoneTopic);
  }

  get user(): UserKey {
    return this.#user;
  }

  /** The end of the inbox when this session began; undefined where it is not stored, or was not known. */
  get inboxAtStart(): Position | undefined {
    return this.#inboxAtStart;
  }

  /** Tells every home that does not know of the session. Idempotent. */
  attach(): void {
    const { topics, users } = this.#ctx;
    if (this.#everyoneHome === undefined) {
      const requested = topics.subscribe(this.#everyone, this.#lane, this, undefined, this);
      this.#onRequested('everyone', requested);
    }
    // The user's home last: with its answer the session begins, so that nothing of the inbox comes before `Connect`.
    if (!this.#session.isOpen || this.#everyoneHome !== 'knows') return;
    if (this.#userHome !== undefined || this.#recovery !== undefined) return;
    this.#hasAskedUser = true;
    this.#onRequested('user', users.attach(this.#user, againOf(this.#session), this.#inboxSince, this));
  }

  /** By its home, in order. What this session sent itself is told by its reply, which comes by another way. */
  onInboxDelivered(offset: number): void {
    if (offset <= this.#inboxOffset) return;
    this.#inboxOffset = offset;
    const { epoch } = this.#ctx.history;
    // The session began without knowing: all behind this one comes by itself.
    if (this.#inboxAtStart !== undefined || epoch === undefined) return;
    this.#inboxAtStart = { offset: offset - 1, epoch };
    this.#inboxSure = offset - 1;
  }

  /** What the inbox got was lost on the way here: the home sends nothing until it is asked again. */
  onInboxLost(): void {
    if (this.#recovery !== undefined) return; // which asks by itself
    this.#userHome = undefined;
    this.attach();
  }

  /** With `told` it may be resumed. A home that was never told need not be told of the end. */
  detach(told: SessionTold | undefined): void {
    if (this.#hasAskedUser && told === undefined) this.#ctx.users.detach(this.#user, this.#session.id);
    else if (told !== undefined) this.#ctx.users.park(this.#user, this.#session, told);
    this.#recovery?.stop();
    this.#ctx.topics.unsubscribe(this.#everyone, this.#lane, this);
  }

  /** It ends before its client could know it; whom it took the place of is seen for the grace still. */
  giveUp(): void {
    if (this.#hasAskedUser)
      this.#ctx.users.park(this.#user, { id: this.#session.id, tokenHash: '' }, nothingTold);
    this.#recovery?.stop();
    this.#ctx.topics.unsubscribe(this.#everyone, this.#lane, this);
  }

  tell(told: SessionTold): void {
    this.#ctx.users.tell(this.#user, this.#session.id, told);
  }

  onAcked(offset: number): void {
    if (offset <= this.#inboxOffset) this.#inboxSure = Math.max(this.#inboxSure, offset);
  }

  onPing(): void {
    this.#inboxPinged = this.#inboxSent;
  }

  onPong(): void {
    this.#inboxSure = Math.max(this.#inboxSure, this.#inboxPinged);
  }

  /** How far the client is with the inbox: what it surely has, or also what was sent to it. */
  inboxPosition(isSure: boolean): Position | undefined {
    const { epoch } = this.#inboxAtStart ?? {};
    if (epoch === undefined) return undefined;
    return { offset: isSure ? this.#inboxSure : this.#inboxSent, epoch };
  }

  /** A stretch behind `upTo.offset` is read, which rises with it; what comes meanwhile is not delivered. */
  onCatchUp(upTo: { readonly offset: number }): void {
    if (this.#catchUp === undefined) this.#inboxSure = this.#inboxPinged = upTo.offset;
    this.#catchUp = upTo;
  }

  /** What came meanwhile is asked for, in its order. */
  onCaughtUp(): void {
    this.#catchUp = undefined;
    if (!this.#isBehind) return;
    this.#isBehind = false;
    this.#isSuspended = true;
    this.onInboxLost();
  }

  /** True while something older of the inbox is still to come: what comes now is asked for again, behind it. */
  tryLeaveOut(): boolean {
    if (this.#catchUp !== undefined) this.#isBehind = true;
    return this.#catchUp !== undefined || this.#isSuspended;
  }

  get #inboxSent(): number {
    return this.#catchUp?.offset ?? this.#inboxOffset;
  }

  /** The thread of `home` was restarted. (Lanes are told to it by the topic port, for all their subscribers at once.) */
  onHomeUp(home: ShardId): void {
    if (this.#ctx.users.homeOf(this.#user) !== home) return;
    if (this.#userHome === 'knows') this.#userHome = undefined;
    this.attach();
  }

  onAnswer(correlation: Correlation, answer: Answer): void {
    if (!this.#session.isOpen) return;
    if (correlation === this.#userHome) return this.#onAnswered('user', answer);
    if (correlation !== this.#everyoneHome) return;
    this.#onAnswered('everyone', answer);
    if (answer.ok) this.attach();
  }

  /** Who has not heard `Connect` is not connected yet. */
  deliver(frames: Uint8Array, frameCount: number, delivery: DeliveryClass): void {
    if (this.#session.isLive) this.#session.deliver(frames, frameCount, delivery);
  }

  /** What everyone gets is volatile. */
  onLost(): void {}

  get #lane(): LaneSpec {
    return [this.#session.encoding, ''];
  }

  #onRequested(home: 'user' | 'everyone', requested: Requested): void {
    if (requested.state === 'answered') this.#onAnswered(home, requested.answer);
    else this.#set(home, requested.correlation);
  }

  #onAnswered(home: 'user' | 'everyone', answer: Answer): void {
    this.#set(home, answer.ok ? 'knows' : undefined);
    if (answer.ok) {
      if (home === 'user') this.#onUserHome(answer.joined);
      if (this.#userHome === 'knows' && this.#everyoneHome === 'knows') this.#session.onAttached();
    } else if (errorCodes[answer.refusal.code].retryable) {
      this.#session.attachAfter(retryMs);
    } else {
      this.#session.onAttachRefused(answer.refusal);
    }
  }

  /** Undefined at the first time, and while nothing of it is known: then nothing can be missed that was promised. */
  get #inboxSince(): Since | undefined {
    const { epoch } = this.#inboxAtStart ?? {};
    return epoch === undefined ? undefined : { offset: this.#inboxOffset, epoch };
  }

  /** Of an inbox that is stored, whose end was not known now either, nobody can tell what came meanwhile. */
  #onUserHome(joined: Joined | undefined): void {
    if (joined !== undefined) return this.#onInbox(joined);
    const isStored = this.#ctx.classOf(inboxOf(userOfKey(this.#user))) !== 'volatile';
    if (isStored && this.#session.isLive) this.#session.onInboxHole();
  }

  #onInbox(joined: Joined): void {
    const since = this.#inboxSince;
    if (since === undefined) {
      this.#isSuspended = false;
      // It began without its inbox, and its home was lost since: what came in between nobody can tell.
      if (this.#session.isLive) this.#session.onInboxHole();
      this.#inboxAtStart = joined.position;
      this.#inboxOffset = this.#inboxSure = joined.position.offset;
      return;
    }
    this.#recovery = new Recovery(since, this.#inbox, this.#session, this.#ctx);
    this.#recovery.begin(joined);
  }

  get #inbox() {
    return inboxSource(this.#user, this.#session, this.#ctx, {
      onLive: (offset) => {
        this.#isSuspended = false;
        this.#recovery = undefined;
        this.#userHome = 'knows';
        this.onInboxDelivered(offset);
      },
      onLost: () => {
        this.#recovery = undefined;
        this.#inboxAtStart = undefined; // what follows tells of the hole
        this.onInboxLost();
      },
    });
  }

  #set(home: 'user' | 'everyone', state: HomeState): void {
    if (home === 'user') this.#userHome = state;
    else this.#everyoneHome = state;
  }
}

/** Everything at once: a home that was restarted must not take it for a session that has nothing. */
export function againOf(session: ResumableSession): AttachingSession {
  const { id, encoding, tokenHash } = session;
  return { id, encoding, tokenHash, told: session.toldAgain() };
}

/** The inbox as something to catch up with. */
export function inboxSource(
  user: UserKey,
  session: ResumableSession,
  { users }: Pick<SessionContext, 'users'>,
  events: Pick<RecoverySource, 'onLive' | 'onLost'>,
): RecoverySource {
  return {
    topic: topicKey(tenantOfKey(user), inboxOf(userOfKey(user))),
    filter: undefined,
    join: (since, receiver) => users.attach(user, againOf(session), since, receiver),
    ...events,
  };
}
