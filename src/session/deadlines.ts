/**
 * The one timer of a session: the next time that something is due, whatever it is.
 * Thread: shard. Owned by session.ts, which acts on what is due. One wheel entry per connection.
 */
import type { TimerEntry, TimerToken } from '#kit/timer-wheel.ts';
import type { SessionContext, SessionLimits } from './ports.ts';
import type { SessionPhase } from './session-state.ts';

/** A client hears this long before its token ends, so that it can send a new one in `Auth`. Milliseconds. */
export const expiryNoticeMs = 30_000;

/** A timer that is so late says that the thread stood still, or the whole process: a frozen container. Milliseconds. */
const standstillMs = 500;

export type DueEvent =
  | 'auth_timeout'
  | 'heartbeat_timeout'
  | 'token_expired'
  | 'token_expiring'
  | 'attach'
  | 'tell'
  | 'idle'
  | 'ping';

export interface DeadlineOwner {
  readonly phase: SessionPhase;
  onDue(event: DueEvent): void;
}

export class Deadlines implements TimerEntry {
  readonly #owner: DeadlineOwner;
  readonly #ctx: Pick<SessionContext, 'clock' | 'timers' | 'limits'>;
  #timer: TimerToken | undefined;
  #lastHeardMs: number;
  #lastPingMs: number;
  /** When to tell the homes of the session again; Infinity: not before one of them asks for it. */
  #attachAtMs = Number.POSITIVE_INFINITY;
  /** When to tell the user's home what has changed of the session; Infinity: nothing has. */
  #tellAtMs = Number.POSITIVE_INFINITY;
  #lastActiveMs: number;
  /** The user does nothing, and that was said. */
  #isIdle = false;

  constructor(owner: DeadlineOwner, ctx: Pick<SessionContext, 'clock' | 'timers' | 'limits'>) {
    this.#owner = owner;
    this.#ctx = ctx;
    this.#lastHeardMs = ctx.clock.monotonicMs();
    this.#lastPingMs = this.#lastHeardMs;
    this.#lastActiveMs = this.#lastHeardMs;
  }

  onHeard(): void {
    this.#lastHeardMs = this.#ctx.clock.monotonicMs();
  }

  /** The client said something, which is more than a sign of life. True when its user was idle. */
  onActive(): boolean {
    this.onHeard();
    this.#lastActiveMs = this.#lastHeardMs;
    const wasIdle = this.#isIdle;
    this.#isIdle = false;
    if (wasIdle) this.reschedule();
    return wasIdle;
  }

  /** Monotonic, milliseconds. */
  get lastActiveMs(): number {
    return this.#lastActiveMs;
  }

  /** Once, however often it is asked for in the meantime. */
  tellAfter(waitMs: number): void {
    if (this.#tellAtMs < Number.POSITIVE_INFINITY) return;
    this.#tellAtMs = this.#ctx.clock.monotonicMs() + waitMs;
    this.reschedule();
  }

  attachAfter(waitMs: number): void {
    this.#attachAtMs = this.#ctx.clock.monotonicMs() + waitMs;
    this.reschedule();
  }

  /** After every change of the phase. */
  reschedule(): void {
    this.cancel();
    const { phase } = this.#owner;
    if (phase.name === 'closing' || phase.name === 'closed') return;
    this.#timer = this.#ctx.timers.schedule(this.#nextMs(phase, this.#ctx.limits), this);
  }

  cancel(): void {
    if (this.#timer !== undefined) this.#ctx.timers.cancel(this.#timer);
    this.#timer = undefined;
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    const { clock, limits } = this.#ctx;
    const nowMs = clock.monotonicMs();
    const hasStoodStill = nowMs - (this.#timer?.deadlineMs ?? nowMs) >= standstillMs;
    this.#timer = undefined;
    // What the client said meanwhile is not read yet, and nobody has asked it: as if it had been heard a ping ago.
    if (hasStoodStill) this.#lastHeardMs = Math.max(this.#lastHeardMs, nowMs - limits.heartbeatIntervalMs);
    const event = this.#dueEvent(this.#owner.phase, limits);
    if (hasStoodStill && event === 'auth_timeout') return this.reschedule();
    if (event === 'ping') this.#lastPingMs = nowMs;
    if (event === 'attach') this.#attachAtMs = Number.POSITIVE_INFINITY;
    if (event === 'tell') this.#tellAtMs = Number.POSITIVE_INFINITY;
    if (event === 'idle') this.#isIdle = true;
    if (event !== undefined) this.#owner.onDue(event);
    this.reschedule();
  }

  /** What is due now, the most serious first. */
  #dueEvent(phase: SessionPhase, limits: SessionLimits): DueEvent | undefined {
    const nowMs = this.#ctx.clock.monotonicMs();
    if (phase.name === 'connecting' && nowMs >= phase.deadlineMs) return 'auth_timeout';
    if (nowMs - this.#lastHeardMs >= limits.clientTimeoutMs) return 'heartbeat_timeout';
    if (phase.name === 'live') {
      const untilExpiryMs = phase.identity.expiresAtMs - this.#ctx.clock.wallMs();
      if (untilExpiryMs <= 0) return 'token_expired';
      if (!phase.isExpiryAnnounced && untilExpiryMs <= expiryNoticeMs) return 'token_expiring';
    }
    if (nowMs >= this.#attachAtMs) return 'attach';
    if (nowMs >= this.#tellAtMs) return 'tell';
    if (!this.#isIdle && phase.name === 'live' && nowMs - this.#lastActiveMs >= limits.awayAfterMs)
      return 'idle';
    return nowMs - this.#lastPingMs >= limits.heartbeatIntervalMs ? 'ping' : undefined;
  }

  #nextMs(phase: SessionPhase, limits: SessionLimits): number {
    const nowMs = this.#ctx.clock.monotonicMs();
    const candidates = [
      this.#lastPingMs + limits.heartbeatIntervalMs,
      this.#lastHeardMs + limits.clientTimeoutMs,
      this.#attachAtMs,
      this.#tellAtMs,
    ];
    if (phase.name === 'connecting') candidates.push(phase.deadlineMs);
    if (phase.name === 'live') {
      if (!this.#isIdle) candidates.push(this.#lastActiveMs + limits.awayAfterMs);
      const untilExpiryMs = phase.identity.expiresAtMs - this.#ctx.clock.wallMs();
      candidates.push(nowMs + untilExpiryMs - (phase.isExpiryAnnounced ? 0 : expiryNoticeMs));
    }
    return Math.max(nowMs + 1, Math.min(...candidates));
  }
}
