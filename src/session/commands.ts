/**
 * What the client of a session says: its envelopes one at a time, each answered exactly once.
 * Thread: shard. Owned by session.ts, which gives it frames and slices of time. Never waits: what a home elsewhere must
 * answer comes back through `onAnswer`.
 */
import { assertNever } from '#kit/assert.ts';
import type { CloseName } from '#proto/close-codes.ts';
import type { ClientEnvelope } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import { refusal } from '#proto/error-codes.ts';
import type { SessionId } from '#proto/names.ts';
import type { Identity } from '../auth/token-claims.ts';
import { type Decoded, decodeFrame } from '../wire/decode-frame.ts';
import type { Answer } from '../wire/message.ts';
import { EnvelopeGate } from './envelope-gate.ts';
import { sessionHandlers } from './handlers/index.ts';
import { Mailbox } from './mailbox.ts';
import { type Handler, type LiveSession, type Outcome, refuse } from './outcome.ts';
import type { Correlation, Row, Runnable, SessionContext, Transport } from './ports.ts';
import type { Replies, Subject } from './replies.ts';
import type { OnOutcome, SessionPhase, Subscription } from './session-state.ts';
import { WaitingCommands, waitingMax } from './waiting-commands.ts';

/** The session whose commands they are. */
export interface CommandOwner extends Runnable {
  readonly id: SessionId;
  readonly phase: SessionPhase;
  readonly isOpen: boolean;
  readonly live: LiveSession | undefined;
  readonly replies: Replies;
  close: (name: CloseName) => void;
  useIdentity: (identity: Identity, command: ClientEnvelope) => void;
}

type AnyHandler = Handler<ClientEnvelope['type']>;

export class Commands {
  readonly #owner: CommandOwner;
  readonly #transport: Transport;
  readonly #ctx: SessionContext;
  readonly #mailbox = new Mailbox();
  readonly #gate: EnvelopeGate;
  readonly #waiting = new WaitingCommands();
  #isReadingPaused = false;
  /** The first one after `Connect` has had its turn. */
  #isBegun = false;

  constructor(owner: CommandOwner, transport: Transport, ctx: SessionContext) {
    this.#owner = owner;
    this.#transport = transport;
    this.#ctx = ctx;
    this.#gate = new EnvelopeGate(ctx);
  }

  /** Envelopes that wait to be handled. */
  get waitingCount(): number {
    return this.#mailbox.size;
  }

  /** By what waits first. */
  get row(): Row {
    if (!this.#isBegun) return 'deferred';
    return this.#mailbox.firstType === 'Subscribe' ? 'joining' : 'ready';
  }

  onFrame(ownedBytes: Uint8Array, encoding: Encoding): void {
    const decoded = decodeFrame(ownedBytes, encoding);
    this.#ctx.counters.received(decoded.length, ownedBytes.length);
    if (this.#gate.isPatienceOver(decoded)) return this.#owner.close('protocol_error');
    for (const entry of decoded) {
      if (!this.#owner.isOpen) return; // a refusal found the client too slow
      this.#accept(entry);
    }
    if (this.#mailbox.shouldPause && !this.#isReadingPaused) this.#pauseReading();
    this.#ctx.schedule.requestSlice(this.#owner);
  }

  /** Handles up to `envelopesMax`; true while more wait that can be handled. */
  runSlice(envelopesMax: number): boolean {
    for (let count = 0; count < envelopesMax; count++) {
      const { name } = this.#owner.phase;
      if (name !== 'live' && name !== 'connecting') return false;
      const entry = this.#mailbox.take();
      if (entry === undefined) break;
      if (name === 'live') this.#isBegun = true;
      this.#ctx.counters.mailbox(-1);
      this.guarded(entry.ok ? entry.envelope : entry, () => this.#handle(entry));
    }
    if (this.#isReadingPaused && this.#mailbox.mayResume) this.#resumeReading();
    return this.#mailbox.size > 0;
  }

  /** The home of a pending request has answered. */
  onAnswer(correlation: Correlation, answer: Answer): void {
    const waiting = this.#waiting.take(correlation);
    const { live } = this.#owner;
    if (waiting === undefined || live === undefined) return;
    const { envelope, onOutcome } = waiting;
    this.guarded(envelope, () => {
      const outcome = handlerOf(envelope).finish?.(live, waiting, answer, this.#ctx) ?? { do: 'nothing' };
      this.#settle(envelope, outcome, onOutcome);
    });
  }

  /** A command of the server's own, in the client's stead; `onOutcome` is told what becomes of it, once. */
  run(envelope: ClientEnvelope, onOutcome: OnOutcome): void {
    const { live } = this.#owner;
    if (live === undefined) return;
    this.guarded(envelope, () =>
      this.#settle(envelope, handlerOf(envelope).handle(live, envelope, this.#ctx), onOutcome),
    );
  }

  /** The `Subscribe` of a subscription that ends before its home has answered: replied to first, to keep the order. */
  answerEarly(subscription: Subscription): void {
    const correlation = this.#waiting.find(subscription);
    if (correlation !== undefined) this.onAnswer(correlation, { ok: true });
  }

  /** The session is over: what waits is not handled any more. */
  clear(): void {
    this.#ctx.counters.mailbox(-this.#mailbox.size);
    this.#mailbox.clear();
  }

  /** A handler or a reply that throws ends this session and touches nothing else. [SES2] */
  guarded(subject: Subject, run: () => void): void {
    try {
      run();
    } catch (error) {
      const correlation = this.#ctx.correlations.next();
      this.#ctx.counters.failed();
      this.#ctx.log.failed(this.#owner.id, correlation, error);
      this.#owner.replies.error(
        { ...(subject.id === undefined ? {} : { id: subject.id }) },
        refusal('internal', `internal error ${correlation}`),
      );
      this.#owner.close('internal');
    }
  }

  /** What is no envelope takes no room: it is answered at once, unless `Connect` has to come first. */
  #accept(entry: Decoded): void {
    if (!entry.ok && !entry.isEnvelope && this.#owner.phase.name !== 'attaching')
      return this.guarded(entry, () => this.#handle(entry));
    if (this.#mailbox.tryPush(entry) === 'queued') {
      this.#ctx.counters.mailbox(1);
      return;
    }
    this.#ctx.counters.mailboxFull('refused');
    this.#owner.replies.error(
      entry.ok ? entry.envelope : entry,
      refusal('busy', 'too many envelopes are waiting', 1000),
    );
  }

  #handle(entry: Decoded): void {
    const { replies, live } = this.#owner;
    const verdict = this.#gate.judge(entry);
    if (verdict.do === 'close') return this.#owner.close(verdict.close);
    if (verdict.do === 'refuse') return replies.error(verdict.subject, verdict.refusal);
    const { envelope } = verdict;
    if (live === undefined) return this.#handleBeforeLive(envelope);
    if (this.#waiting.isFull) {
      const reason = `${waitingMax} commands wait for their answers`;
      return replies.error(envelope, refusal('busy', reason, 1000));
    }
    this.#apply(envelope, handlerOf(envelope).handle(live, envelope, this.#ctx));
  }

  /** Without a token: `Auth` begins, `Ping` is answered, everything else is refused. */
  #handleBeforeLive(envelope: ClientEnvelope): void {
    if (envelope.type === 'Ping') return this.#apply(envelope, { do: 'pong', data: envelope.data });
    if (envelope.type !== 'Auth')
      return this.#apply(envelope, refuse('unauthorized', 'send Auth with a token first'));
    const verdict = this.#ctx.tokens.verify(envelope.data.token);
    if (verdict.ok) return this.#apply(envelope, { do: 'authenticate', identity: verdict.identity });
    this.#owner.replies.error(envelope, verdict.refusal);
    this.#owner.close('unauthorized');
  }

  /** Told to whoever asked: the client, or the server itself. */
  #settle(envelope: ClientEnvelope, outcome: Outcome, onOutcome: OnOutcome | undefined): void {
    if (onOutcome === undefined) return this.#apply(envelope, outcome);
    if (outcome.do !== 'wait') return onOutcome(outcome);
    this.#waiting.add(outcome.correlation, { ...outcome.command, onOutcome });
  }

  #apply(envelope: ClientEnvelope, outcome: Outcome): void {
    const { replies } = this.#owner;
    switch (outcome.do) {
      case 'nothing':
        return;
      case 'reply':
        replies.status(envelope, outcome.data);
        return outcome.after?.();
      case 'pong':
        return replies.send('Pong', envelope.id, outcome.data);
      case 'refuse':
        return replies.error(envelope, outcome.refusal);
      case 'wait':
        return this.#waiting.add(outcome.correlation, outcome.command);
      case 'authenticate':
        return this.#owner.useIdentity(outcome.identity, envelope);
      default:
        assertNever(outcome);
    }
  }

  #pauseReading(): void {
    this.#isReadingPaused = true;
    this.#ctx.counters.mailboxFull('paused');
    this.#transport.pauseReading();
  }

  #resumeReading(): void {
    this.#isReadingPaused = false;
    this.#transport.resumeReading();
  }
}

function handlerOf({ type }: ClientEnvelope): AnyHandler {
  return sessionHandlers[type] as AnyHandler;
}
