/**
 * The same for each of many, some in a slice: so that what waits for a turn does not wait for all of them.
 * Thread: shard. Called by the duty cycle, in the row of the sessions.
 */
import type { Runnable } from '../session/ports.ts';

/** 0.02 ms each, as a rule. */
const perSlice = 32;

export class Sliced<Item> implements Runnable {
  readonly row = 'ready';
  readonly #items: Iterator<Item>;
  readonly #run: (item: Item) => void;

  constructor(items: Iterable<Item>, run: (item: Item) => void) {
    this.#items = items[Symbol.iterator]();
    this.#run = run;
  }

  runSlice(): boolean {
    for (let count = 0; count < perSlice; count++) {
      const { value, done } = this.#items.next();
      if (done === true) return false;
      this.#run(value);
    }
    return true;
  }

  /** What is left, at once. */
  finish(): void {
    while (this.runSlice());
  }
}
