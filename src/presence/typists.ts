/**
 * Who is writing something, in one topic or to one user: never stored, and over by itself.
 * Thread: the home shard. Owned by topic/topic.ts and user/user.ts, made with the first one.
 */
import type { Clock } from '#kit/clock.ts';
import type { TimerEntry, TimerWheel } from '#kit/timer-wheel.ts';
import { typingMs } from '#proto/limits.ts';
import type { UserId } from '#proto/names.ts';

/** One who goes on is told of again this often, milliseconds: within `typingMs`, for clients that count by themselves. */
const repeatMs = 3_000;
/** More at once are not told: nobody could read that many names. */
const typistsMax = 64;

interface Typist {
  toldAtMs: number;
  endsAtMs: number;
}

export interface TypistsContext {
  clock: Clock;
  timers: Pick<TimerWheel, 'schedule'>;
}

export class Typists implements TimerEntry {
  readonly #ctx: TypistsContext;
  readonly #onEnded: (user: UserId) => void;
  readonly #typists = new Map<UserId, Typist>();
  #isScheduled = false;

  /** `onEnded`: a user said nothing more for ten seconds. */
  constructor(ctx: TypistsContext, onEnded: (user: UserId) => void) {
    this.#ctx = ctx;
    this.#onEnded = onEnded;
  }

  get isEmpty(): boolean {
    return this.#typists.size === 0;
  }

  /** What to do with it: tell the others, nothing because they know, or nothing because there are too many. */
  take(user: UserId, isActive: boolean): 'tell' | 'known' | 'too_many' {
    const known = this.#typists.get(user);
    if (!isActive) return this.#typists.delete(user) ? 'tell' : 'known';
    if (known === undefined && this.#typists.size >= typistsMax) return 'too_many';
    const nowMs = this.#ctx.clock.monotonicMs();
    const isTold = known !== undefined && nowMs - known.toldAtMs < repeatMs;
    this.#typists.set(user, { toldAtMs: isTold ? known.toldAtMs : nowMs, endsAtMs: nowMs + typingMs });
    this.#schedule(nowMs + typingMs);
    return isTold ? 'known' : 'tell';
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    this.#isScheduled = false;
    const nowMs = this.#ctx.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    const ended: UserId[] = [];
    for (const [user, { endsAtMs }] of this.#typists) {
      if (endsAtMs <= nowMs) ended.push(user);
      else nextMs = Math.min(nextMs, endsAtMs);
    }
    for (const user of ended) this.#typists.delete(user);
    if (nextMs < Number.POSITIVE_INFINITY) this.#schedule(nextMs);
    for (const user of ended) this.#onEnded(user);
  }

  #schedule(atMs: number): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#ctx.timers.schedule(atMs, this);
  }
}
