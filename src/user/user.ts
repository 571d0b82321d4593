/**
 * The actor of one user over all their devices: which sessions there are, and the inbox that reaches them.
 * Thread: the user's home shard, and only there. Called by shard/user-table.ts.
 * Synchronous, no I/O. It has no queue of its own: what it accepts it hands on in the same call, or to the store.
 */
import type { Encoding } from '#proto/envelope.ts';
import { refusal } from '#proto/error-codes.ts';
import {
  inboxOf,
  type MessageId,
  type SessionId,
  type ShardId,
  tenantOfKey,
  topicKey,
  type UserId,
  type UserKey,
  userKey,
  userOfKey,
} from '#proto/names.ts';
import type { DeliveryClass, ReceiptKind } from '#proto/record.ts';
import { type Conversation, DurableLog } from '../log/durable-log.ts';
import type { HotLog, LogPublication } from '../log/hot-log.ts';
import type { SessionTold } from '../presence/session-told.ts';
import { Typists } from '../presence/typists.ts';
import type { StoredMessage } from '../store/history-store.ts';
import type { Publication } from '../wire/encode-frame.ts';
import { type Amendment, type Answer, type Message, refused, type Since } from '../wire/message.ts';
import type { Device, Devices } from './devices.ts';
import type { DirectCopy, QuietListener, UserContext } from './ports.ts';
import { UserSessions } from './user-sessions.ts';

type OnAnswer = (answer: Answer) => void;

export interface UserOwner {
  /** Time made it so; after a command its caller looks by itself. */
  onIdle(user: User): void;
}

export class User implements QuietListener {
  readonly key: UserKey;
  readonly #id: UserId;
  readonly #ctx: UserContext;
  readonly sessions: UserSessions;
  /** Who is writing to this user; made with the first one. */
  #typists: Typists | undefined;
  readonly #owner: UserOwner;
  /** Where direct messages land; undefined where a rule says that they are not stored. */
  readonly #inbox: DurableLog | undefined;
  /** Messages on their way to the inbox that one of the user's sessions sent, and need not get; made with the first one. */
  #sentBy: Map<MessageId, SessionId> | undefined;
  /** How far the senders were told that this user is; made with the first receipt. */
  #marked: Record<ReceiptKind, number> | undefined;

  constructor(key: UserKey, ctx: UserContext, owner: UserOwner) {
    this.key = key;
    this.#id = userOfKey(key);
    this.#ctx = ctx;
    this.#owner = owner;
    this.sessions = new UserSessions(key, ctx, this);
    const inbox = inboxOf(this.#id);
    if (ctx.classOf(inbox) === 'volatile') return;
    this.#inbox = new DurableLog(topicKey(tenantOfKey(key), inbox), ctx, {
      emit: (publication) => this.#emit(publication),
      onCold: () => this.onQuiet(),
    });
  }

  /** No session is left, nobody watches, and nothing of the inbox is at hand: the actor may be dropped. */
  get isIdle(): boolean {
    return this.sessions.isIdle && (this.#inbox?.isIdle ?? true) && (this.#typists?.isEmpty ?? true);
  }

  onQuiet(): void {
    if (this.isIdle) this.#owner.onIdle(this);
  }

  /**
   * A session of this user begins, or comes back and has the inbox up to `since`; a session that is there may ask for a
   * stretch of the inbox as well. Refused beyond the limit. `onAnswer` is called once.
   */
  attach(
    session: SessionId,
    { shard, encoding, tokenHash, told }: DeviceAddress,
    since: Since | undefined,
    onAnswer: OnAnswer,
  ): void {
    const known = this.#devices.get(session);
    if (known === undefined && this.#devices.size >= this.#ctx.sessionsMax) {
      const reason = `the user has ${this.#ctx.sessionsMax} connections already`;
      return onAnswer(refused(refusal('limit_exceeded', reason)));
    }
    const isLive = this.#inbox === undefined;
    const device: Device = known ?? { shard, encoding, tokenHash, told, isLive };
    if (known === undefined) this.sessions.open(session, device);
    if (this.#inbox === undefined) return onAnswer({ ok: true });
    const onKnown = (log: HotLog | undefined, down: Answer) => {
      if (this.#devices.get(session) !== device) return onAnswer(gone());
      const answer = log === undefined ? attachBlindly(device, since, down) : attachTo(log, device, since);
      if (!answer.ok && known === undefined) this.sessions.close(session);
      onAnswer(answer);
    };
    this.#inbox.whenKnown(since, onKnown, since === undefined ? patienceMs : undefined);
  }

  /** Somebody writes to this user, or does not any more. */
  typing(from: UserId, isActive: boolean): void {
    if (this.#devices.size === 0) return;
    this.#typists ??= new Typists(this.#ctx, (ended) => {
      this.#tellTyping(ended, false);
      this.onQuiet();
    });
    const verdict = this.#typists.take(from, isActive);
    if (verdict === 'tell') this.#tellTyping(from, isActive);
    if (verdict === 'too_many') this.#ctx.counters.dropped('typing', 1);
  }

  /** A message to this user, whether a device is there or not. `onAnswer` is called once, after the commit. */
  direct(sender: UserKey, message: Message, sendingSession: SessionId | undefined, onAnswer: OnAnswer): void {
    if (this.#inbox === undefined) return onAnswer(this.#passOn(sender, message, sendingSession));
    const conversation = this.#conversationWith(sender, sendingSession);
    const messageId = this.#inbox.publish(
      message,
      this.#andCopy(sender, message, sendingSession, onAnswer),
      conversation,
    );
    // A note to oneself: the same inbox for both.
    if (sender === this.key && sendingSession !== undefined) this.#remember(messageId, sendingSession);
  }

  /** A message of the conversation with `other` is edited or deleted, in both inboxes. */
  amend(other: UserKey, amendment: Amendment, onAnswer: OnAnswer): void {
    if (this.#inbox !== undefined)
      return this.#inbox.amend(amendment, onAnswer, this.#conversationWith(other, undefined));
    onAnswer(refused(refusal('not_found', `there is no message ${amendment.target}`)));
  }

  /** How far this user is; told to those who wrote what it newly covers, as far as that is at hand. */
  mark(kind: ReceiptKind, offset: number, onAnswer: OnAnswer): void {
    if (this.#inbox === undefined)
      return onAnswer(refused(refusal('bad_request', 'the inbox is not stored')));
    this.#inbox.mark({ user: this.#id, kind, offset }, (answer, log) => {
      if (log !== undefined) this.#tellSenders(log, kind, offset);
      onAnswer(answer);
    });
  }

  /** Somebody has got or read what this user wrote to them. */
  deliverReceipt(by: UserId, kind: ReceiptKind, offset: number): void {
    this.#deliverNotice('Receipt', { with: by, user: by, kind, offset }, 'normal');
  }

  /** What this user sent, edited or deleted was stored in this inbox by the home of the other side. */
  onCopied(message: StoredMessage, except: SessionId | undefined): void {
    if (except !== undefined) this.#remember(message.messageId, except);
    this.#inbox?.onCopied(message);
  }

  onHeard(offset: number): void {
    this.#inbox?.onHeard(offset);
  }

  onStoreRestarted(): void {
    if (this.#devices.size > 0) this.#inbox?.onStoreRestarted();
  }

  /** A message that is not stored, to all devices but one. */
  deliver({ to, message, messageId, except }: DirectCopy): void {
    if (!this.#devices.hasOther(except)) return;
    const { from, event, priority, payload } = message;
    const publication: Publication = {
      ...{ type: 'DirectMessage', id: messageId, topic: inboxOf(this.#id), offset: undefined, from, to },
      ...{ target: undefined, event, priority, payload, timestamp: this.#ctx.clock.wallMs() },
    };
    this.#devices.deliver(publication, except, this.#ctx.sessions);
  }

  get #devices(): Devices {
    return this.sessions.devices;
  }

  #tellTyping(from: UserId, active: boolean): void {
    this.#deliverNotice('Typing', { from, user: from, active }, 'typing');
  }

  #deliverNotice(type: 'Receipt' | 'Typing', data: object, delivery: DeliveryClass): void {
    const envelope = { type, data, timestamp: this.#ctx.clock.wallMs() };
    this.#devices.deliverNotice({ envelope, delivery }, this.#ctx.sessions);
  }

  #passOn(sender: UserKey, message: Message, sendingSession: SessionId | undefined): Answer {
    const { isNew, answer } = this.#ctx.recentKeys.accept('user', this.key, sender, message);
    if (!isNew) return answer;
    const copy = { to: this.#id, message, messageId: answer.messageId, except: sendingSession };
    this.deliver(copy);
    if (sender !== this.key) this.#ctx.sessions.copyToSender(sender, copy);
    return answer;
  }

  #conversationWith(other: UserKey, except: SessionId | undefined): Conversation {
    const peer = userOfKey(other);
    if (other === this.key || !this.#isStored(peer)) return { peer, copy: undefined };
    const topic = topicKey(tenantOfKey(other), inboxOf(peer));
    return { peer, copy: { topic, peer: this.#id, home: this.#ctx.homeOf(other), except } };
  }

  #tellSenders(log: HotLog, kind: ReceiptKind, offset: number): void {
    this.#marked ??= { delivered: 0, read: 0 };
    const before = this.#marked[kind];
    if (offset <= before) return;
    this.#marked[kind] = offset;
    const youngest = new Map<UserId, number>();
    for (const { publication } of log.between(before, offset + 1)) {
      const { type, from, copyOffset } = publication;
      if (type === 'DirectMessage' && from !== this.#id && copyOffset !== undefined)
        youngest.set(from, copyOffset);
    }
    for (const [sender, copyOffset] of youngest) {
      const key = userKey(tenantOfKey(this.key), sender);
      this.#ctx.sessions.tellReceipt(key, { by: this.#id, kind, offset: copyOffset });
    }
  }

  #isStored(user: UserId): boolean {
    return this.#ctx.classOf(inboxOf(user)) !== 'volatile';
  }

  /** A sender whose own inbox is not stored gets the copy as others whose inboxes are not. */
  #andCopy(sender: UserKey, message: Message, except: SessionId | undefined, onAnswer: OnAnswer): OnAnswer {
    if (sender === this.key || this.#isStored(userOfKey(sender))) return onAnswer;
    return (answer) => {
      if (answer.ok && answer.messageId !== undefined && !answer.isDuplicate) {
        const copy = { to: this.#id, message, messageId: answer.messageId, except };
        this.#ctx.sessions.copyToSender(sender, copy);
      }
      onAnswer(answer);
    };
  }

  #emit(publication: LogPublication): void {
    const except = this.#sentBy?.get(publication.id);
    this.#sentBy?.delete(publication.id);
    this.#devices.deliver(publication, except, this.#ctx.sessions);
  }

  /** The oldest are forgotten: what never came (a duplicate, a refusal) is not waited for. */
  #remember(messageId: MessageId, session: SessionId): void {
    this.#sentBy ??= new Map();
    this.#sentBy.set(messageId, session);
    for (const oldest of this.#sentBy.keys()) {
      if (this.#sentBy.size <= sentByMax) return;
      this.#sentBy.delete(oldest);
    }
  }
}

const sentByMax = 256;
/** A new session waits so long for a store that does not answer, and then begins without its inbox. Milliseconds. */
const patienceMs = 1000;

interface DeviceAddress {
  shard: ShardId;
  encoding: Encoding;
  tokenHash: string | undefined;
  /** Of one that attaches again. */
  told?: SessionTold | undefined;
}

function attachTo(log: HotLog, device: Device, since: Since | undefined): Answer {
  const joined = log.join(since, device.encoding, undefined);
  // A stretch that ends somewhere says nothing about what comes: only who asks for all of it is live when it has all of it.
  if (since?.upTo === undefined) device.isLive = joined.isLive;
  return { ok: true, joined };
}

/** The end of the inbox cannot be known now. What comes later is delivered; only who has to catch up must wait. */
function attachBlindly(device: Device, since: Since | undefined, down: Answer): Answer {
  if (since !== undefined) return down;
  device.isLive = true;
  return { ok: true };
}

/** It left, or what it got was lost on the way: if it is still there it asks again. */
function gone(): Answer {
  return refused(refusal('busy', 'the session was detached meanwhile'));
}
