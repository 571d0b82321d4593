/**
 * Time for the one place of the store that waits by itself: `setTimeout` of node:timers/promises, which group commit uses
 * when the fate of a batch is unknown. Whoever is active gets its waits; all others get the real one.
 */
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';
import type { Clock } from '#kit/clock.ts';

const realSetTimeout = timers.setTimeout;
let active: SimTimers | undefined;

export class SimTimers {
  readonly #clock: Clock;
  #waiting: { atMs: number; resolve: () => void }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** While `run` and what follows from it runs, waits are its own. */
  async during(run: () => void | Promise<void>): Promise<void> {
    activate(this);
    try {
      await run();
    } finally {
      activate(undefined);
    }
  }

  turn(): void {
    const nowMs = this.#clock.monotonicMs();
    const due = this.#waiting.filter(({ atMs }) => atMs <= nowMs);
    this.#waiting = this.#waiting.filter(({ atMs }) => atMs > nowMs);
    for (const { resolve } of due) resolve();
  }

  wait<Value>(ms: number, value: Value): Promise<Value> {
    return new Promise((resolve) => {
      this.#waiting.push({ atMs: this.#clock.monotonicMs() + ms, resolve: () => resolve(value) });
    });
  }
}

timers.setTimeout = ((ms: number, value: unknown, options: object) =>
  active === undefined
    ? realSetTimeout(ms, value, options)
    : active.wait(ms, value)) as typeof realSetTimeout;
syncBuiltinESMExports();

function activate(timers: SimTimers | undefined): void {
  active = timers;
}
