/**
 * The actor over one connection: takes its envelopes one at a time, answers each exactly once, delivers what it subscribed.
 * Thread: the shard that has the connection. Called by shard/upgrade.ts (bytes, end of the connection), the duty cycle
 * (slices, writes), and the subscriber table (deliveries).
 * The only writer of its phase. Never waits: what a home elsewhere must answer comes back through `onAnswer`.
 */
import { assertNever } from '#kit/assert.ts';
import { type CloseName, closeCodes } from '#proto/close-codes.ts';
import type { ClientEnvelope } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import { authTimeoutMs } from '#proto/limits.ts';
import { inboxOf, type SessionId, type ShardId, type TopicName, userOfKey } from '#proto/names.ts';
import type { Identity } from '../auth/token-claims.ts';
import { type Decoded, decodeFrame } from '../wire/decode-frame.ts';
import type { Answer, Position } from '../wire/message.ts';
import { type AttachedSession, Attachment } from './attachment.ts';
import { type DeadlineOwner, Deadlines, type DueEvent } from './deadlines.ts';
import { EnvelopeGate } from './envelope-gate.ts';
import { sessionHandlers } from './handlers/index.ts';
import { Mailbox } from './mailbox.ts';
import { Outbox } from './outbox.ts';
import { type Handler, type LiveSession, type Outcome, refuse } from './outcome.ts';
import type { AnswerReceiver, Correlation, SessionContext, Transport } from './ports.ts';
import { Replies, type Subject } from './replies.ts';
import type { SessionPhase, Subscription } from './session-state.ts';
import { Subscriptions } from './subscriptions.ts';
import { WaitingCommands, waitingMax } from './waiting-commands.ts';

export class Session implements AttachedSession, AnswerReceiver, DeadlineOwner {
  readonly id: SessionId;
  readonly encoding: Encoding;
  readonly #transport: Transport;
  readonly #ctx: SessionContext;
  readonly #mailbox = new Mailbox();
  readonly #gate: EnvelopeGate;
  readonly #outbox: Outbox;
  readonly #replies: Replies;
  readonly #deadlines: Deadlines;
  #phase: SessionPhase;
  /** From the first good token on. */
  #attachment: Attachment | undefined;
  readonly #waiting = new WaitingCommands();
  #isReadingPaused = false;

  constructor(id: SessionId, encoding: Encoding, transport: Transport, ctx: SessionContext) {
    this.id = id;
    this.encoding = encoding;
    this.#transport = transport;
    this.#ctx = ctx;
    this.#outbox = new Outbox(transport, ctx.limits.outboxBytesMax, ctx);
    this.#replies = new Replies(this, ctx);
    this.#gate = new EnvelopeGate(ctx);
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

  /** The end of the inbox when this session began; undefined where it is not stored, or was not known. */
  get inboxAtStart(): Position | undefined {
    return this.#attachment?.inboxAtStart;
  }

  /** Bytes on their way to the client. */
  get outboxBytes(): number {
    return this.#outbox.pendingBytes;
  }

  /** The token of the handshake, or of the first `Auth` (`command`), is good. */
  authenticate(identity: Identity, command?: ClientEnvelope): void {
    if (this.#phase.name !== 'connecting') return;
    this.#phase = { name: 'attaching', identity, command };
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
    this.onHeard();
    const decoded = decodeFrame(ownedBytes, this.encoding);
    this.#ctx.counters.received(decoded.length, ownedBytes.length);
    if (this.#gate.isPatienceOver(decoded)) return this.close('protocol_error');
    for (const entry of decoded) {
      if (!this.isOpen) return; // a refusal found the client too slow
      this.#accept(entry);
    }
    if (this.#mailbox.shouldPause && !this.#isReadingPaused) this.#pauseReading();
    this.#ctx.schedule.requestSlice(this);
  }

  /** Any sign of life. */
  onHeard(): void {
    this.#deadlines.onHeard();
  }

  /** Handles up to `envelopesMax`; true while more wait that can be handled. */
  runSlice(envelopesMax: number): boolean {
    for (let count = 0; count < envelopesMax; count++) {
      if (this.#phase.name !== 'live' && this.#phase.name !== 'connecting') return false;
      const entry = this.#mailbox.take();
      if (entry === undefined) break;
      this.#ctx.counters.mailbox(-1);
      this.#guarded(entry.ok ? entry.envelope : entry, () => this.#handle(entry));
    }
    if (this.#isReadingPaused && this.#mailbox.mayResume) this.#resumeReading();
    return this.#mailbox.size > 0;
  }

  /** The home of a pending request has answered. */
  onAnswer(correlation: Correlation, answer: Answer): void {
    const waiting = this.#waiting.take(correlation);
    const live = this.#live();
    if (waiting === undefined || live === undefined) return;
    const { envelope } = waiting;
    const handler = sessionHandlers[envelope.type] as Handler<ClientEnvelope['type']>;
    this.#guarded(envelope, () =>
      this.#apply(envelope, handler.finish?.(live, waiting, answer, this.#ctx) ?? { do: 'nothing' }),
    );
  }

  /** Frames of a lane. */
  deliver(frames: Uint8Array, frameCount: number): void {
    if (!this.isOpen) return;
    if (this.#outbox.push(frames, frameCount) === 'slow') {
      this.#ctx.counters.slowConsumer();
      this.close('slow_consumer');
    }
  }

  /** By the user's home; `inboxOffset` is the place of the last one in the inbox, 0 where it is not stored. */
  deliverDirect(frames: Uint8Array, frameCount: number, inboxOffset: number): void {
    this.#attachment?.onInboxDelivered(inboxOffset);
    this.deliver(frames, frameCount);
  }

  onInboxLost(): void {
    if (this.isOpen) this.#attachment?.onInboxLost();
  }

  onInboxHole(): void {
    const { user } = this.#attachment as Attachment;
    const reason = 'some of what came is not kept any more; what comes from now on is delivered';
    this.#replies.subscriptionEnded(inboxOf(userOfKey(user)), reason);
  }

  /** The server ends a subscription, and says why: what was lost would be a hole. [DUR5] */
  onLost(topic: TopicName, reason: string): void {
    if (this.#phase.name !== 'live') return;
    const subscription = this.#phase.subscriptions.get(topic);
    if (subscription === undefined) return;
    this.#phase.subscriptions.delete(topic);
    this.#ctx.counters.subscriptions(-1);
    subscription.recovery?.stop();
    this.#ctx.topics.unsubscribe(subscription.key, subscription.lane, this);
    this.#replies.subscriptionEnded(topic, reason);
  }

  /** The `Subscribe` of a subscription that ends before its home has answered: replied to first, to keep the order. */
  answerEarly(subscription: Subscription): void {
    const correlation = this.#waiting.find(subscription);
    if (correlation !== undefined) this.onAnswer(correlation, { ok: true });
  }

  /** The server will go; the client learns when to come back. */
  announceDrain(reconnectAfterMs: number): void {
    if (this.isOpen) this.#replies.system('draining', { reconnectAfterMs });
  }

  /** What is durable is refused from now on, or taken again. */
  announceStore(isUp: boolean): void {
    if (this.#phase.name === 'live') this.#replies.store(isUp);
  }

  /** Ends the session from this side. What waits is written first, except for one who does not read. */
  close(name: CloseName): void {
    if (!this.isOpen) return;
    this.#leave();
    const { code, reason } = closeCodes[name];
    this.#phase = { name: 'closing', code };
    if (name === 'slow_consumer') this.#outbox.discard();
    else this.#outbox.write();
    this.#ctx.log.closed(this.id, name);
    this.#transport.close(code, reason);
  }

  /** The connection is gone, whoever ended it; `code` is the peer's. Counted is ours, where this side closed. The last call. */
  onTransportClosed(code: number): void {
    const phase = this.#phase;
    if (phase.name === 'closed') return;
    if (phase.name !== 'closing') {
      this.#leave();
      this.#ctx.log.closed(this.id, code);
    }
    this.#phase = { name: 'closed' };
    this.#outbox.discard();
    this.#ctx.counters.closed(phase.name === 'closing' ? phase.code : code);
  }

  // ---- envelopes

  /** What is no envelope takes no room: it is answered at once, unless `Connect` has to come first. */
  #accept(entry: Decoded): void {
    if (!entry.ok && !entry.isEnvelope && this.#phase.name !== 'attaching')
      return this.#guarded(entry, () => this.#handle(entry));
    if (this.#mailbox.tryPush(entry) === 'queued') {
      this.#ctx.counters.mailbox(1);
      return;
    }
    this.#ctx.counters.mailboxFull('refused');
    this.#replies.error(
      entry.ok ? entry.envelope : entry,
      refusal('busy', 'too many envelopes are waiting', 1000),
    );
  }

  #handle(entry: Decoded): void {
    const verdict = this.#gate.judge(entry);
    if (verdict.do === 'close') return this.close(verdict.close);
    if (verdict.do === 'refuse') return this.#replies.error(verdict.subject, verdict.refusal);
    const { envelope } = verdict;
    const live = this.#live();
    if (live === undefined) return this.#handleBeforeLive(envelope);
    if (this.#waiting.isFull) {
      const reason = `${waitingMax} commands wait for their answers`;
      return this.#replies.error(envelope, refusal('busy', reason, 1000));
    }
    const handler = sessionHandlers[envelope.type] as Handler<ClientEnvelope['type']>;
    this.#apply(envelope, handler.handle(live, envelope, this.#ctx));
  }

  /** Without a token: `Auth` begins, `Ping` is answered, everything else is refused. */
  #handleBeforeLive(envelope: ClientEnvelope): void {
    if (envelope.type === 'Ping') return this.#apply(envelope, { do: 'pong', data: envelope.data });
    if (envelope.type !== 'Auth')
      return this.#apply(envelope, refuse('unauthorized', 'send Auth with a token first'));
    const verdict = this.#ctx.tokens.verify(envelope.data.token);
    if (verdict.ok) return this.#apply(envelope, { do: 'authenticate', identity: verdict.identity });
    this.#replies.error(envelope, verdict.refusal);
    this.close('unauthorized');
  }

  /** A handler or a reply that throws ends this session and touches nothing else. [SES2] */
  #guarded(subject: Subject, run: () => void): void {
    try {
      run();
    } catch (error) {
      const correlation = this.#ctx.correlations.next();
      this.#ctx.counters.failed();
      this.#ctx.log.failed(this.id, correlation, error);
      this.#replies.error(
        { ...(subject.id === undefined ? {} : { id: subject.id }) },
        refusal('internal', `internal error ${correlation}`),
      );
      this.close('internal');
    }
  }

  #apply(envelope: ClientEnvelope, outcome: Outcome): void {
    switch (outcome.do) {
      case 'nothing':
        return;
      case 'reply':
        this.#replies.status(envelope, outcome.data);
        return outcome.after?.();
      case 'pong':
        return this.#replies.send('Pong', envelope.id, outcome.data);
      case 'refuse':
        return this.#replies.error(envelope, outcome.refusal);
      case 'wait':
        return this.#waiting.add(outcome.correlation, outcome.command);
      case 'authenticate':
        return this.#useIdentity(outcome.identity, envelope);
      default:
        assertNever(outcome);
    }
  }

  // ---- becoming live

  /** All homes know of the session; also called when one of them was told anew. */
  onAttached(): void {
    const phase = this.#phase;
    if (phase.name === 'attaching') this.#guarded(phase.command ?? {}, () => this.#enterLive(phase));
  }

  /** Also of a live session: one that its user's home does not want would miss what is sent to the user. */
  onAttachRefused(reason: Refusal): void {
    const command = this.#phase.name === 'attaching' ? this.#phase.command : undefined;
    this.#replies.error(command ?? {}, reason);
    this.close('disconnected');
  }

  attachAfter(waitMs: number): void {
    this.#deadlines.attachAfter(waitMs);
  }

  #enterLive({ identity, command }: SessionPhase & { name: 'attaching' }): void {
    const attachment = this.#attachment as Attachment;
    this.#phase = {
      ...{ name: 'live', identity, subscriptions: new Subscriptions() },
      ...{ inboxRecovery: undefined, isExpiryAnnounced: false },
    };
    this.#replies.connected(this.id, identity, attachment.inboxAtStart);
    if (command !== undefined) this.#replies.status(command, { expiresAt: identity.expiresAtMs });
    if (!this.#ctx.isStoreUp()) this.#replies.store(false);
    this.#ctx.log.opened(this.id, attachment.user, this.encoding);
    this.#deadlines.reschedule();
    if (this.#mailbox.size > 0) this.#ctx.schedule.requestSlice(this);
  }

  #useIdentity(identity: Identity, command: ClientEnvelope): void {
    if (this.#phase.name === 'connecting') return this.authenticate(identity, command);
    if (this.#phase.name !== 'live') return;
    this.#replies.status(command, { expiresAt: identity.expiresAtMs });
    this.#phase.identity = identity;
    this.#phase.isExpiryAnnounced = false;
    this.#deadlines.reschedule();
  }

  /** Nothing is delivered to, or expected from, this session any more. */
  #leave(): void {
    this.#deadlines.cancel();
    this.#ctx.counters.mailbox(-this.#mailbox.size);
    this.#mailbox.clear();
    this.#attachment?.detach();
    const phase = this.#phase;
    if (phase.name !== 'live') return;
    if (typeof phase.inboxRecovery === 'object') phase.inboxRecovery.stop();
    for (const { key, lane, recovery } of phase.subscriptions.values()) {
      recovery?.stop();
      this.#ctx.topics.unsubscribe(key, lane, this);
    }
    this.#ctx.counters.subscriptions(-phase.subscriptions.size);
  }

  // ---- time

  /** Called by the session's deadlines. */
  onDue(event: DueEvent): void {
    switch (event) {
      case 'auth_timeout':
        return this.close('unauthorized');
      case 'heartbeat_timeout':
      case 'token_expired':
        return this.close(event);
      case 'token_expiring':
        return this.#announceExpiry();
      case 'attach':
        return this.#attachment?.attach();
      case 'ping':
        return this.#transport.ping();
      default:
        assertNever(event);
    }
  }

  #announceExpiry(): void {
    if (this.#phase.name !== 'live') return;
    this.#phase.isExpiryAnnounced = true;
    this.#replies.system('token_expiring', { expiresAt: this.#phase.identity.expiresAtMs });
  }

  // ---- reading

  #pauseReading(): void {
    this.#isReadingPaused = true;
    this.#ctx.counters.mailboxFull('paused');
    this.#transport.pauseReading();
  }

  #resumeReading(): void {
    this.#isReadingPaused = false;
    this.#transport.resumeReading();
  }

  #live(): LiveSession | undefined {
    return this.#phase.name === 'live' ? { session: this, phase: this.#phase } : undefined;
  }
}
