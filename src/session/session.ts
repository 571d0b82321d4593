/**
 * The actor over one connection: from its token to its end. What it says is commands.ts, what it gets is outbox.ts.
 * Thread: the shard that has the connection. Called by shard/websocket-transport.ts (bytes, end of the connection), the duty
 * cycle (slices, writes), and the subscriber table (deliveries).
 * The only writer of its phase. Never waits: what a home elsewhere must answer comes back through `onAnswer`.
 */
import { assertNever } from '#kit/assert.ts';
import { type CloseName, closeCodes } from '#proto/close-codes.ts';
import type { ClientEnvelope } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import type { Refusal } from '#proto/error-codes.ts';
import { authTimeoutMs } from '#proto/limits.ts';
import { inboxOf, type SessionId, type ShardId, type TopicName, userOfKey } from '#proto/names.ts';
import type { DeliveryClass } from '#proto/record.ts';
import type { Identity } from '../auth/token-claims.ts';
import type { DevicePresence } from '../presence/device-presence.ts';
import type { SessionTold } from '../presence/session-told.ts';
import type { Answer } from '../wire/message.ts';
import { type AttachedSession, Attachment } from './attachment.ts';
import { type CommandOwner, Commands } from './commands.ts';
import { type DeadlineOwner, Deadlines, type DueEvent } from './deadlines.ts';
import { Outbox } from './outbox.ts';
import type { LiveSession } from './outcome.ts';
import type { AnswerReceiver, Correlation, DirectFrames, Row, SessionContext, Transport } from './ports.ts';
import { Replies } from './replies.ts';
import { type LivePhase, livePhase, type SessionPhase } from './session-state.ts';
import type { PositionsAsOf } from './subscriptions.ts';
import { changeInTopics, leaveTopics, loseSubscription, positionsAfter, toldOf } from './telling.ts';

/** What changed of a session waits so long for more of it, before its user's home is told. Milliseconds. */
const tellAfterMs = 250;
/** The client closes for good (RFC 6455, 7.4.1: the purpose of the connection is fulfilled). */
const closedByClient = 1000;

/** Handled in the call that says that it is too late for more. */
const lastEnvelopesMax = 64;

interface Gone {
  code: number;
  isOrderly: boolean;
}

export class Session implements AttachedSession, AnswerReceiver, DeadlineOwner, CommandOwner {
  readonly id: SessionId;
  readonly encoding: Encoding;
  readonly #transport: Transport;
  readonly #ctx: SessionContext;
  /** What its client says. */
  readonly commands: Commands;
  readonly #outbox: Outbox;
  /** What the session itself says to its client. */
  readonly replies: Replies;
  readonly #deadlines: Deadlines;
  #phase: SessionPhase;
  #attachment: Attachment | undefined;
  /** Another device of the user is invisible. */
  #isHidden = false;
  /** The connection is, and what it leaves behind is still to be cleared up. */
  #gone: Gone | undefined;
  #resumeToken = '';
  /** Of the resume token; empty before the session has a user. */
  #tokenHash = '';

  /** `batchMs`: the client asked that frames wait for each other so long. */
  constructor(id: SessionId, encoding: Encoding, transport: Transport, ctx: SessionContext, batchMs = 0) {
    this.id = id;
    this.encoding = encoding;
    this.#transport = transport;
    this.#ctx = ctx;
    this.#outbox = new Outbox(transport, { bytesMax: ctx.limits.outboxBytesMax, batchMs }, ctx);
    this.replies = new Replies(this, ctx);
    this.commands = new Commands(this, transport, ctx);
    this.#phase = { name: 'connecting', deadlineMs: ctx.clock.monotonicMs() + authTimeoutMs };
    this.#deadlines = new Deadlines(this, ctx);
    ctx.counters.opened();
    this.#deadlines.reschedule();
  }

  get phase(): SessionPhase {
    return this.#phase;
  }

  get isOpen(): boolean {
    return this.#phase.name !== 'closing' && this.#phase.name !== 'closed';
  }

  get isLive(): boolean {
    return this.#phase.name === 'live';
  }

  /** The client has ended its connection, or lost it; what it had said is still handled. */
  get isGone(): boolean {
    return this.#outbox.isStopped;
  }

  get row(): Row {
    return this.isGone ? 'deferred' : this.commands.row;
  }

  get tokenHash(): string {
    return this.#tokenHash;
  }

  /** When the client last said something (monotonic, milliseconds), and envelopes of it that wait. */
  get activity(): { lastMs: number; waitingCount: number } {
    return { lastMs: this.#deadlines.lastActiveMs, waitingCount: this.commands.waitingCount };
  }

  /** How its homes know of it, and what it has of the inbox; from the first good token on. */
  get attachment(): Attachment | undefined {
    return this.#attachment;
  }

  /** Bytes on their way to the client. */
  get outboxBytes(): number {
    return this.#outbox.pendingBytes;
  }

  /** The token of the handshake, or of the first `Auth` (`command`), is good. */
  authenticate(identity: Identity, command?: ClientEnvelope): void {
    if (this.#phase.name !== 'connecting') return;
    this.#phase = { name: 'attaching', identity, command };
    this.#resumeToken = this.#ctx.resumeTokens.next();
    this.#tokenHash = this.#ctx.resumeTokens.hashOf(this.#resumeToken);
    this.#attachment = new Attachment(this, identity, this.#ctx);
    this.#attachment.attach();
  }

  /** The thread of `home` was restarted: if it is this user's home, it must hear of the session again. [SES1] */
  onHomeUp(home: ShardId): void {
    if (this.isOpen) this.#attachment?.onHomeUp(home);
  }

  /** A frame arrived. `ownedBytes` are kept: binary values are views of them. */
  onFrame(ownedBytes: Uint8Array): void {
    if (!this.isOpen) return;
    if (this.#deadlines.onActive()) this.#setIdle(false);
    this.commands.onFrame(ownedBytes, this.encoding);
  }

  /** Any sign of life. */
  onHeard(): void {
    this.#deadlines.onHeard();
  }

  /** It has got everything that was sent before the last ping. */
  onPong(): void {
    this.onHeard();
    this.#attachment?.onPong();
    if (this.#phase.name === 'live') this.#phase.subscriptions.onPong();
  }

  /** Called by the duty cycle; true while more wait that can be handled: what came before the end is, before the end. */
  runSlice(envelopesMax: number): boolean {
    if (this.commands.runSlice(envelopesMax)) return true;
    if (this.#gone !== undefined) this.#end(this.#gone);
    return false;
  }

  /** The home of a pending request has answered. */
  onAnswer(correlation: Correlation, answer: Answer): void {
    this.commands.onAnswer(correlation, answer);
  }

  /** Frames of a lane. */
  deliver(frames: Uint8Array, frameCount: number, delivery: DeliveryClass): void {
    if (!this.isOpen) return;
    if (this.#outbox.push(frames, frameCount, delivery) === 'slow') {
      this.#ctx.counters.slowConsumer();
      this.close('slow_consumer');
    }
  }

  /** By the user's home; `inboxOffset` is the place of the last one in the inbox, 0 where it is not stored. */
  deliverDirect({ frames, frameCount, delivery }: DirectFrames, inboxOffset: number): void {
    if (inboxOffset > 0 && this.#attachment?.tryLeaveOut() === true) return;
    this.#attachment?.onInboxDelivered(inboxOffset);
    this.deliver(frames, frameCount, delivery);
  }

  /** What comes from now on waits for `releaseFrames`. */
  holdFrames(): void {
    this.#outbox.hold();
  }

  /** The reply to `envelope`, and behind it what was held. */
  releaseFrames(envelope: ClientEnvelope, data: object): void {
    if (this.isOpen) this.#outbox.release(this.replies.statusFrame(envelope, data));
  }

  onInboxLost(): void {
    if (this.isOpen) this.#attachment?.onInboxLost();
  }

  onInboxHole(): void {
    const { user } = this.#attachment as Attachment;
    const reason = 'some of what came is not kept any more; what comes from now on is delivered';
    this.replies.subscriptionEnded(inboxOf(userOfKey(user)), reason);
  }

  /** The server ends a subscription, and says why: what was lost would be a hole. `lane`: of the topic or its members. [DUR5] */
  onLost(lane: TopicName, reason: string): void {
    if (this.#phase.name === 'live') loseSubscription(this, this.#phase, { lane, reason }, this.#ctx);
  }

  /** How the user is on this device from now on. */
  setPresence(presence: DevicePresence): void {
    if (this.#phase.name !== 'live') return;
    this.#phase.presence = presence;
    this.#tell(this.#phase);
    changeInTopics(this.#phase, this, this.#ctx);
  }

  /** Another device of the user is invisible, or is not any more: that counts for all of them. */
  setHidden(isHidden: boolean): void {
    this.#isHidden = isHidden;
    if (this.#phase.name !== 'live') return;
    this.#phase.isHidden = isHidden;
    changeInTopics(this.#phase, this, this.#ctx);
  }

  /** The user's home hears in a while of what has changed. */
  tellSoon(): void {
    this.#deadlines.tellAfter(tellAfterMs);
  }

  /** Ends the session from this side. What waits is written first, except for one who does not read. */
  close(name: CloseName): void {
    if (!this.isOpen) return;
    if (this.#gone !== undefined) return this.#end(this.#gone, positionsAfter[name] === 'over');
    const isAllWritten = name !== 'slow_consumer' && this.#outbox.tryWrite();
    const positions = positionsAfter[name];
    const isSent = isAllWritten && this.outboxBytes === 0;
    this.#leave(positions === 'sent' && !isSent ? 'sure' : positions);
    const { code, reason } = closeCodes[name];
    this.#phase = { name: 'closing', code };
    this.#outbox.discard();
    this.#ctx.log.closed(this.id, name);
    this.#transport.close(code, reason);
  }

  /** The client has ended the connection: what comes from here on counts as not sent. */
  onTransportEnded(): void {
    this.#outbox.stop();
  }

  /**
   * The connection is gone, whoever ended it; `code` is the peer's. `isOrderly`: the client ended it when it had read what
   * came. Nothing is sent from here on; the rest follows in a slice, unless the end has waited for its turn already.
   */
  onTransportClosed(code: number, isOrderly = false): void {
    if (this.#gone !== undefined) return;
    const hasWaited = this.isGone;
    this.#gone = { code, isOrderly };
    this.#outbox.stop();
    if (!hasWaited || this.runSlice(lastEnvelopesMax)) this.#ctx.schedule.requestSlice(this);
  }

  /** The last call. Counted is our code, where this side closed. */
  #end({ code, isOrderly }: Gone, isOver = code === closedByClient): void {
    const phase = this.#phase;
    if (phase.name === 'closed') return;
    if (phase.name !== 'closing') {
      const positions = isOrderly && this.outboxBytes === 0 ? 'sent' : 'sure';
      this.#leave(isOver ? 'over' : positions);
      this.#ctx.log.closed(this.id, code);
    }
    this.#phase = { name: 'closed' };
    this.#outbox.discard();
    this.#ctx.counters.closed(phase.name === 'closing' ? phase.code : code);
    this.#ctx.onEnded(this.id);
  }

  // ---- becoming live

  /** All homes know of the session; also called when one of them was told anew. */
  onAttached(): void {
    const phase = this.#phase;
    if (phase.name === 'attaching') this.commands.guarded(phase.command ?? {}, () => this.#enterLive(phase));
  }

  /** Also of a live session: one that its user's home does not want would miss what is sent to the user. */
  onAttachRefused(reason: Refusal): void {
    const command = this.#phase.name === 'attaching' ? this.#phase.command : undefined;
    this.replies.error(command ?? {}, reason);
    this.close('disconnected');
  }

  attachAfter(waitMs: number): void {
    this.#deadlines.attachAfter(waitMs);
  }

  #enterLive({ identity, command }: SessionPhase & { name: 'attaching' }): void {
    const attachment = this.#attachment as Attachment;
    this.#phase = livePhase(identity, this.#isHidden);
    const resumable = { id: this.id, resumeToken: this.#resumeToken };
    this.replies.connected(resumable, identity, attachment.inboxAtStart);
    if (command !== undefined) this.replies.status(command, { expiresAt: identity.expiresAtMs });
    if (!this.#ctx.isStoreUp()) this.replies.store(false);
    this.#ctx.log.opened(this.id, attachment.user, this.encoding);
    this.#deadlines.reschedule();
    if (this.commands.waitingCount > 0) this.#ctx.schedule.requestSlice(this);
  }

  /** A token is good: the first one, or a fresh one. */
  useIdentity(identity: Identity, command: ClientEnvelope): void {
    if (this.#phase.name === 'connecting') return this.authenticate(identity, command);
    if (this.#phase.name !== 'live') return;
    this.replies.status(command, { expiresAt: identity.expiresAtMs });
    this.#phase.identity = identity;
    this.#phase.isExpiryAnnounced = false;
    this.#deadlines.reschedule();
  }

  /** Nothing is delivered to, or expected from, this session any more; but `over`, it may be resumed. */
  #leave(positions: PositionsAsOf | 'over'): void {
    this.#deadlines.cancel();
    this.commands.clear();
    const phase = this.#phase;
    const attachment = this.#attachment;
    if (attachment === undefined) return;
    if (phase.name !== 'live') return attachment.giveUp();
    const told = positions === 'over' ? undefined : toldOf(phase, attachment, positions, this.#ctx);
    if (typeof phase.inboxRecovery === 'object') phase.inboxRecovery.stop();
    leaveTopics(phase, this, told !== undefined, this.#ctx);
    attachment.detach(told);
  }

  /** For a home that knows nothing of it. */
  toldAgain(): SessionTold | undefined {
    if (this.#phase.name !== 'live' || this.#attachment === undefined) return undefined;
    return toldOf(this.#phase, this.#attachment, 'nothing', this.#ctx);
  }

  #tell(phase: LivePhase): void {
    const attachment = this.#attachment as Attachment;
    attachment.tell(toldOf(phase, attachment, 'nothing', this.#ctx));
  }

  #setIdle(isIdle: boolean): void {
    if (this.#phase.name === 'live') this.setPresence({ ...this.#phase.presence, isIdle });
  }

  // ---- time

  /** Called by the session's deadlines. */
  onDue(event: DueEvent): void {
    switch (event) {
      case 'auth_timeout':
        this.commands.runSlice(lastEnvelopesMax); // it may have come in time, and waited here
        return this.#phase.name === 'connecting' ? this.close('unauthorized') : undefined;
      case 'heartbeat_timeout':
      case 'token_expired':
        return this.close(event);
      case 'token_expiring':
        return this.#announceExpiry();
      case 'attach':
        return this.#attachment?.attach();
      case 'tell':
        if (this.#phase.name === 'live') this.#tell(this.#phase);
        return;
      case 'idle':
        return this.#setIdle(true);
      case 'ping':
        return this.#ping();
      default:
        assertNever(event);
    }
  }

  #ping(): void {
    // What is counted as sent before the ping must be.
    if (this.#outbox.tryWrite()) {
      this.#attachment?.onPing();
      if (this.#phase.name === 'live') this.#phase.subscriptions.onPing(this.#ctx);
    }
    this.#transport.ping();
  }

  #announceExpiry(): void {
    if (this.#phase.name !== 'live') return;
    this.#phase.isExpiryAnnounced = true;
    this.replies.system('token_expiring', { expiresAt: this.#phase.identity.expiresAtMs });
  }

  /** As handlers see it; undefined before it has a user, and after its end. */
  get live(): LiveSession | undefined {
    return this.#phase.name === 'live' ? { session: this, phase: this.#phase } : undefined;
  }
}
