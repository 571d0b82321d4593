/** Waits for a condition, not for a time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Far more than anything takes: two slow cores that do something else as well are no fault. */
const deadlineMs = 60_000;

/** Resolves with the first truthy answer; rejects with `what` when there is none in a minute. */
export async function eventually<Value>(what: string, ask: () => Value | Promise<Value>): Promise<Value> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}
