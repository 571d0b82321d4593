/**
 * How the homes come to know of a session: its user's home, and the topic of broadcasts to everyone.
 * Thread: shard. Owned by session.ts; made when the token is good, undone when the session ends.
 * It is the subscriber on everyone's lane in the session's stead, so that no `Subscribe` of a client can meet it there.
 * A home that is being restarted, or cannot be reached, is told again. [SES1]
 */
import type { Encoding } from '#proto/envelope.ts';
import type { Refusal } from '#proto/error-codes.ts';
import {
  everyoneTopic,
  type SessionId,
  type ShardId,
  type TopicKey,
  topicKey,
  type UserKey,
  userKey,
} from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { Identity } from '../auth/token-claims.ts';
import type { Answer } from '../wire/message.ts';
import type { AnswerReceiver, Correlation, Requested, SessionContext, Subscriber } from './ports.ts';

/** How soon a home that was not reachable is told again, milliseconds. */
const retryMs = 500;

export interface AttachedSession extends Subscriber {
  readonly id: SessionId;
  readonly encoding: Encoding;
  readonly isOpen: boolean;
  /** All homes know of the session; again after each time that one had to be told anew. */
  onAttached(): void;
  onAttachRefused(reason: Refusal): void;
  /** Asks to call `attach` in a while. */
  attachAfter(waitMs: number): void;
}

/** `undefined`: must be told; a correlation: was told and has not answered. */
type HomeState = 'knows' | Correlation | undefined;

export class Attachment implements Subscriber, AnswerReceiver {
  readonly #session: AttachedSession;
  readonly #ctx: Pick<SessionContext, 'topics' | 'users'>;
  readonly #user: UserKey;
  readonly #everyone: TopicKey;
  #userHome: HomeState;
  #everyoneHome: HomeState;

  constructor(
    session: AttachedSession,
    { tenant, userId }: Identity,
    ctx: Pick<SessionContext, 'topics' | 'users'>,
  ) {
    this.#session = session;
    this.#ctx = ctx;
    this.#user = userKey(tenant, userId);
    this.#everyone = topicKey(tenant, everyoneTopic);
  }

  get user(): UserKey {
    return this.#user;
  }

  /** Tells every home that does not know of the session. Idempotent. */
  attach(): void {
    const { topics, users } = this.#ctx;
    const { id, encoding } = this.#session;
    if (this.#userHome === undefined) {
      this.#onRequested('user', users.attach(this.#user, id, encoding, this));
    }
    if (this.#everyoneHome === undefined && this.#session.isOpen) {
      this.#onRequested('everyone', topics.subscribe(this.#everyone, this.#lane, this));
    }
  }

  /** A home that was never told need not be told of the end. */
  detach(): void {
    if (this.#userHome !== undefined) this.#ctx.users.detach(this.#user, this.#session.id);
    this.#ctx.topics.unsubscribe(this.#everyone, this.#lane, this);
  }

  /** The thread of `home` was restarted. (Lanes are told to it by the topic port, for all their subscribers at once.) */
  onHomeUp(home: ShardId): void {
    if (this.#ctx.users.homeOf(this.#user) !== home) return;
    if (this.#userHome === 'knows') this.#userHome = undefined;
    this.attach();
  }

  onAnswer(correlation: Correlation, answer: Answer): void {
    if (!this.#session.isOpen) return;
    if (correlation === this.#userHome) this.#onAnswered('user', answer);
    else if (correlation === this.#everyoneHome) this.#onAnswered('everyone', answer);
  }

  deliver(frames: Uint8Array, frameCount: number): void {
    this.#session.deliver(frames, frameCount);
  }

  /** What everyone gets is volatile. */
  onHomeLost(): void {}

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
      if (this.#userHome === 'knows' && this.#everyoneHome === 'knows') this.#session.onAttached();
    } else if (answer.refusal.code === 'busy') {
      this.#session.attachAfter(retryMs);
    } else {
      this.#session.onAttachRefused(answer.refusal);
    }
  }

  #set(home: 'user' | 'everyone', state: HomeState): void {
    if (home === 'user') this.#userHome = state;
    else this.#everyoneHome = state;
  }
}
