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
import { refusal } from '#proto/error-codes.ts';
import { authTimeoutMs } from '#proto/limits.ts';
import {
  everyoneTopic,
  type SessionId,
  type ShardId,
  type TopicKey,
  type TopicName,
  topicKey,
  userKey,
} from '#proto/names.ts';
import type { Identity } from '../auth/token-claims.ts';
import { type Decoded, decodeFrame } from '../wire/decode-frame.ts';
import type { Answer } from '../wire/message.ts';
import { type DeadlineOwner, Deadlines, type DueEvent } from './deadlines.ts';
import { EnvelopeGate } from './envelope-gate.ts';
import { sessionHandlers } from './handlers/index.ts';
import { Mailbox } from './mailbox.ts';
import { Outbox } from './outbox.ts';
import { type Handler, type LiveSession, type Outcome, refuse } from './outcome.ts';
import type {
  AnswerReceiver,
  Correlation,
  Requested,
  SessionContext,
  Subscriber,
  Transport,
} from './ports.ts';
import { Replies, type Subject } from './replies.ts';
import type { AttachStep, SessionPhase, WaitingCommand } from './session-state.ts';

/** Commands whose answers are on their way; more are refused as `busy`. */
const waitingMax = 1024;
/** How soon a home that was not reachable is told of the session again, milliseconds. */
const attachRetryMs = 500;

export class Session implements Subscriber, AnswerReceiver, DeadlineOwner {
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
  /** By correlation: commands, and the steps of becoming live. */
  #waiting = new Map<Correlation, WaitingCommand | AttachStep>();
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

  /** The token of the handshake, or of the first `Auth`, is good. */
  authenticate(identity: Identity): void {
    if (this.#phase.name !== 'connecting') return;
    this.#phase = { name: 'attaching', identity, awaited: new Set(['user', 'everyone']) };
    this.attach();
  }

  /** Tells the homes that wait for this session of it; again, after a home was restarted. [SES1] */
  attach(): void {
    const phase = this.#phase;
    if (phase.name !== 'attaching' && phase.name !== 'live') return;
    const { tenant, userId } = phase.identity;
    const isEveryoneAwaited = phase.name === 'attaching' && phase.awaited.has('everyone');
    this.#awaitStep('user', this.#ctx.users.attach(userKey(tenant, userId), this.id, this.encoding, this));
    if (this.isOpen && isEveryoneAwaited)
      this.#awaitStep(
        'everyone',
        this.#ctx.topics.subscribe(this.#everyoneKey(phase.identity), [this.encoding, ''], this),
      );
  }

  /** The thread of `home` was restarted: if it is this user's home, it must hear of the session again. */
  onHomeUp(home: ShardId): void {
    const phase = this.#phase;
    if (phase.name !== 'attaching' && phase.name !== 'live') return;
    if (this.#ctx.users.homeOf(userKey(phase.identity.tenant, phase.identity.userId)) === home) this.attach();
  }

  /** A frame arrived. `ownedBytes` are kept: binary values are views of them. */
  onFrame(ownedBytes: Uint8Array): void {
    if (!this.isOpen) return;
    this.onHeard();
    const decoded = decodeFrame(ownedBytes, this.encoding);
    this.#ctx.counters.received(decoded.length, ownedBytes.length);
    for (const entry of decoded) this.#accept(entry);
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
    const waiting = this.#waiting.get(correlation);
    this.#waiting.delete(correlation);
    if (waiting === undefined || !this.isOpen) return;
    if (waiting === 'user' || waiting === 'everyone') return this.#onAttached(waiting, answer);
    const { envelope } = waiting;
    const live = this.#live();
    const handler = sessionHandlers[envelope.type] as Handler<ClientEnvelope['type']>;
    if (live === undefined) return;
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

  /** The server ends a subscription, and says why. */
  endSubscription(topic: TopicName, reason: string): void {
    if (this.#phase.name !== 'live') return;
    const subscription = this.#phase.subscriptions.get(topic);
    if (subscription === undefined) return;
    this.#phase.subscriptions.delete(topic);
    this.#ctx.counters.subscriptions(-1);
    this.#ctx.topics.unsubscribe(subscription.key, subscription.lane, this);
    this.#replies.send('Status', undefined, { op: 'Subscription', topic, active: false, reason });
  }

  /** The server will go; the client learns when to come back. */
  announceDrain(reconnectAfterMs: number): void {
    if (this.isOpen) this.#replies.send('System', undefined, { event: 'draining', reconnectAfterMs });
  }

  /** Ends the session from this side. What waits is written first, except for one who does not read. */
  close(name: CloseName): void {
    if (!this.isOpen) return;
    this.#leave();
    this.#phase = { name: 'closing' };
    if (name === 'slow_consumer') this.#outbox.discard();
    else this.#outbox.write();
    this.#ctx.log.closed(this.id, name);
    this.#transport.close(closeCodes[name].code, closeCodes[name].reason);
  }

  /** The connection is gone, whoever ended it. The last call. */
  onTransportClosed(code: number): void {
    if (this.#phase.name === 'closed') return;
    if (this.isOpen) {
      this.#leave();
      this.#ctx.log.closed(this.id, code);
    }
    this.#phase = { name: 'closed' };
    this.#outbox.discard();
    this.#ctx.counters.closed(code);
  }

  // ---- envelopes

  #accept(entry: Decoded): void {
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
    if (this.#waiting.size >= waitingMax) {
      return this.#replies.error(
        envelope,
        refusal('busy', `${waitingMax} commands wait for their answers`, 1000),
      );
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
        return this.#replies.status(envelope, outcome.data);
      case 'pong':
        return this.#replies.send('Pong', envelope.id, outcome.data);
      case 'refuse':
        return this.#replies.error(envelope, outcome.refusal);
      case 'wait':
        this.#waiting.set(outcome.correlation, outcome.command);
        return;
      case 'authenticate':
        this.#replies.status(envelope, { expiresAt: outcome.identity.expiresAtMs });
        return this.#useIdentity(outcome.identity);
      case 'close':
        return this.close(outcome.close);
      default:
        assertNever(outcome);
    }
  }

  // ---- becoming live

  #awaitStep(step: AttachStep, requested: Requested): void {
    if (requested.state === 'answered') this.#onAttached(step, requested.answer);
    else this.#waiting.set(requested.correlation, step);
  }

  #onAttached(step: AttachStep, answer: Answer): void {
    if (!answer.ok && answer.refusal.code === 'busy') {
      // The home is being restarted, or the way there is full.
      return this.#deadlines.attachAfter(attachRetryMs);
    }
    if (this.#phase.name !== 'attaching') return;
    if (!answer.ok) {
      this.#replies.error({}, answer.refusal);
      return this.close('disconnected');
    }
    this.#phase.awaited.delete(step);
    if (this.#phase.awaited.size === 0) this.#enterLive(this.#phase.identity);
  }

  #enterLive(identity: Identity): void {
    this.#phase = { name: 'live', identity, subscriptions: new Map(), isExpiryAnnounced: false };
    const { limits, node } = this.#ctx;
    this.#replies.send('Status', undefined, {
      op: 'Connect',
      sessionId: this.id,
      userId: identity.userId,
      tenant: identity.tenant,
      node: node.nodeId,
      shard: node.shard,
      heartbeatMs: limits.heartbeatIntervalMs,
      maxMessageBytes: limits.messageBytesMax,
      serverVersion: node.version,
    });
    this.#ctx.log.opened(this.id, userKey(identity.tenant, identity.userId), this.encoding);
    this.#deadlines.reschedule();
    if (this.#mailbox.size > 0) this.#ctx.schedule.requestSlice(this);
  }

  #useIdentity(identity: Identity): void {
    if (this.#phase.name === 'connecting') return this.authenticate(identity);
    if (this.#phase.name !== 'live') return;
    this.#phase.identity = identity;
    this.#phase.isExpiryAnnounced = false;
    this.#deadlines.reschedule();
  }

  /** Nothing is delivered to, or expected from, this session any more. */
  #leave(): void {
    this.#deadlines.cancel();
    this.#ctx.counters.mailbox(-this.#mailbox.size);
    this.#mailbox.clear();
    const phase = this.#phase;
    if (phase.name !== 'attaching' && phase.name !== 'live') return;
    this.#ctx.users.detach(userKey(phase.identity.tenant, phase.identity.userId), this.id);
    this.#ctx.topics.unsubscribe(this.#everyoneKey(phase.identity), [this.encoding, ''], this);
    if (phase.name !== 'live') return;
    for (const { key, lane } of phase.subscriptions.values()) this.#ctx.topics.unsubscribe(key, lane, this);
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
        return this.attach();
      case 'ping':
        return this.#transport.ping();
      default:
        assertNever(event);
    }
  }

  #announceExpiry(): void {
    if (this.#phase.name !== 'live') return;
    this.#phase.isExpiryAnnounced = true;
    this.#replies.send('System', undefined, {
      event: 'token_expiring',
      expiresAt: this.#phase.identity.expiresAtMs,
    });
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

  #everyoneKey(identity: Identity): TopicKey {
    return topicKey(identity.tenant, everyoneTopic);
  }
}
