/**
 * Forgets the sessions that nobody took over in time.
 * Thread: store. Started by store-control.ts. In small bites, so that appends come between them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryStore } from './history-store.ts';

/** Between two rounds, milliseconds. They are not answered from the moment their time is over: this is for the disk. */
const roundEveryMs = 60_000;
/** Sessions of one bite. */
const biteMax = 500;
/** Between two bites, milliseconds. */
const restMs = 5;

export interface SessionSweepContext {
  store: Pick<HistoryStore, 'sweepSessions'>;
  clock: { wallMs: () => number };
  /** While the database is away nothing is asked of it. */
  isUp: () => boolean;
  onFailure: (error: unknown) => void;
}

export class SessionSweep {
  readonly #ctx: SessionSweepContext;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(ctx: SessionSweepContext) {
    this.#ctx = ctx;
  }

  start(): void {
    this.#timer = setInterval(() => void this.round().catch(this.#ctx.onFailure), roundEveryMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  /** Rejects when the store cannot be used; the next round goes on. */
  async round(): Promise<void> {
    const { store, clock, isUp } = this.#ctx;
    const nowMs = clock.wallMs();
    while (isUp() && !this.#isStopped) {
      const count = await store.sweepSessions({ nowMs, limit: biteMax });
      if (count < biteMax) return;
      await sleep(restMs);
    }
  }
}
