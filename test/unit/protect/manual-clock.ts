/** A clock that stands until a test moves it, and message ids that count. */
import type { Clock } from '#kit/clock.ts';
import type { MessageIds } from '#kit/message-id.ts';

export class ManualClock implements Clock {
  #monotonicMs: number;
  #wallMs = 1_767_225_600_000;

  constructor(monotonicMs = 1000) {
    this.#monotonicMs = monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  advance(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }
}

/** `m1`, `m2`, … */
export function countingIds(): MessageIds {
  let count = 0;
  return { next: () => `m${++count}` };
}
