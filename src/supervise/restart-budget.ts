/**
 * How often a shard may be restarted, and how soon: exponential backoff within a window, then no more.
 * Thread: primary. Pure. One for all shards: a fault that every shard has must not be retried N times as often.
 */
import type { Clock } from '#kit/clock.ts';

/** More restarts than this within the window, and the process exits for its own supervisor. */
const restartsMax = 8;
const windowMs = 60_000;
const delayMinMs = 50;
const delayMaxMs = 2_000;

export class RestartBudget {
  readonly #clock: Clock;
  #restartsAtMs: number[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds to wait before the restart, or 'exhausted'. */
  take(): number | 'exhausted' {
    const nowMs = this.#clock.monotonicMs();
    this.#restartsAtMs = this.#restartsAtMs.filter((atMs) => nowMs - atMs < windowMs);
    if (this.#restartsAtMs.length >= restartsMax) return 'exhausted';
    const delayMs = Math.min(delayMaxMs, delayMinMs * 2 ** this.#restartsAtMs.length);
    this.#restartsAtMs.push(nowMs);
    return delayMs;
  }
}
