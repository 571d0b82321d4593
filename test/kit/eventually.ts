/** Waits for a condition, not for a time. */
import { setTimeout as sleep } from 'node:timers/promises';

const deadlineMs = 20_000;

/** Resolves with the first truthy answer; rejects with `what` when there is none in twenty seconds. */
export async function eventually<Value>(what: string, ask: () => Value | Promise<Value>): Promise<Value> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await sleep(20);
  }
}
