/**
 * Sessions of one user whose connections were lost, until somebody resumes them or their time is over.
 * Thread: the user's home shard. Owned by user.ts. Bounded: of too many the oldest is forgotten.
 */
import type { TimerEntry, TimerToken } from '#kit/timer-wheel.ts';
import type { SessionId } from '#proto/names.ts';
import type { DevicePresence } from '../presence/device-presence.ts';
import type { SessionTold } from '../presence/session-told.ts';
import type { UserContext } from './ports.ts';

export interface DetachedSession {
  tokenHash: string;
  told: SessionTold;
  /** Others see it until then. Monotonic, milliseconds. */
  graceEndMs: number;
  /** Monotonic, milliseconds. */
  endsAtMs: number;
}

export interface DetachedOwner {
  /** Nobody can resume it any more. */
  onOver(session: SessionId): void;
}

type DetachedContext = Pick<UserContext, 'clock' | 'timers' | 'sessionTtlMs' | 'sessionsMax' | 'counters'>;

/** Of everyone who has no detached session; never written to. */
const none: Map<SessionId, DetachedSession> = new Map();

export class DetachedSessions implements TimerEntry {
  readonly #ctx: DetachedContext;
  readonly #owner: DetachedOwner;
  /** The oldest first, which end first. Made with the first one: most users have none. */
  #sessions: Map<SessionId, DetachedSession> = none;
  #timer: TimerToken | undefined;

  constructor(ctx: DetachedContext, owner: DetachedOwner) {
    this.#ctx = ctx;
    this.#owner = owner;
  }

  get size(): number {
    return this.#sessions.size;
  }

  add(session: SessionId, detached: Omit<DetachedSession, 'endsAtMs'>): void {
    const endsAtMs = this.#ctx.clock.monotonicMs() + this.#ctx.sessionTtlMs;
    if (this.#sessions === none) this.#sessions = new Map();
    this.#sessions.set(session, { ...detached, endsAtMs });
    this.#ctx.counters.detached(1);
    if (this.#sessions.size > this.#ctx.sessionsMax) this.#end(this.#oldest as SessionId);
    this.#timer ??= this.#ctx.timers.schedule(endsAtMs, this);
  }

  get(session: SessionId): DetachedSession | undefined {
    return this.#sessions.get(session);
  }

  /** By its own name, or the one that its client knew before. */
  find(name: SessionId): SessionId | undefined {
    if (this.#sessions.has(name)) return name;
    for (const [session, { told }] of this.#sessions) if (told.former?.session === name) return session;
    return undefined;
  }

  delete(session: SessionId): void {
    if (!this.#sessions.delete(session)) return;
    this.#ctx.counters.detached(-1);
    if (this.#sessions.size > 0) return;
    this.#sessions = none;
    if (this.#timer !== undefined) this.#ctx.timers.cancel(this.#timer);
    this.#timer = undefined;
  }

  names(): SessionId[] {
    return [...this.#sessions.keys()];
  }

  presences(): (DevicePresence | undefined)[] {
    return [...this.#sessions.values()].map(({ told }) => told.presence);
  }

  /** Those that others see still. */
  *inGrace(): Iterable<[session: SessionId, presence: DevicePresence | undefined, graceEndMs: number]> {
    const nowMs = this.#ctx.clock.monotonicMs();
    for (const [session, { told, graceEndMs }] of this.#sessions) {
      if (graceEndMs > nowMs) yield [session, told.presence, graceEndMs];
    }
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    this.#timer = undefined;
    const nowMs = this.#ctx.clock.monotonicMs();
    for (const [session, { endsAtMs }] of [...this.#sessions]) {
      if (endsAtMs > nowMs) {
        this.#timer = this.#ctx.timers.schedule(endsAtMs, this);
        return;
      }
      this.#end(session);
    }
  }

  get #oldest(): SessionId | undefined {
    for (const session of this.#sessions.keys()) return session;
    return undefined;
  }

  #end(session: SessionId): void {
    this.delete(session);
    this.#owner.onOver(session);
  }
}
