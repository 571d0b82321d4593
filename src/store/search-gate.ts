/**
 * Few searches at a time: each may take as long as all else together, and readers of history must not stand behind them.
 * Thread: store. Owned by store-control.ts.
 */
import { StoreUnavailableError } from './history-store.ts';

/** At once: half of PostgreSQL's readers, all threads of the CPU pool. */
const runningMax = 2;
/** Searches that wait; beyond, they are refused. */
const waitingMax = 16;

export class SearchGate {
  readonly #waiting: (() => void)[] = [];
  #runningCount = 0;

  /** Rejects as `search` does, or with StoreUnavailableError when too many wait. */
  async run<Answer>(search: () => Promise<Answer>): Promise<Answer> {
    if (this.#runningCount >= runningMax) await this.#turn();
    else this.#runningCount++;
    try {
      return await search();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#runningCount--;
      else next();
    }
  }

  /** Resolves when one that ran has left its place. */
  #turn(): Promise<void> {
    if (this.#waiting.length >= waitingMax) throw new StoreUnavailableError('too many searches wait');
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
