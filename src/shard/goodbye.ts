/**
 * The last words of a shard. Drain: every client is told when to come back, then closed in batches. Failure: every
 * socket gets a close frame while the thread still can. Thread: shard. Called by shard-control.ts and the crash handler.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '#kit/clock.ts';
import type { Random } from '#kit/random.ts';
import type { Session } from '../session/session.ts';
import type { SessionTable } from './session-table.ts';

/** Clients closed per batch, and the pause between batches: a herd of clients must not arrive elsewhere at once. */
const batchSize = 500;
const batchPauseMs = 200;
/** Clients come back spread over this long, milliseconds; grows with their number. */
const reconnectSpreadMinMs = 1_000;
const reconnectSpreadPerSessionMs = 2;
/** How long close frames may be on their way before the rest is cut off, milliseconds. */
const pollMs = 20;

/** Resolves when no session is left or `timeoutMs` is over. Answers how many there were. */
export async function drainSessions(
  sessions: SessionTable,
  timeoutMs: number,
  { clock, random }: { clock: Clock; random: Random },
): Promise<number> {
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const all = [...sessions];
  const spreadMs = reconnectSpreadMinMs + all.length * reconnectSpreadPerSessionMs;
  for (const session of all) {
    const reconnectAfterMs = Math.floor(random.next() * spreadMs);
    if (session.isOpen) session.replies.system('draining', { reconnectAfterMs });
  }
  const batchCount = Math.ceil(all.length / batchSize);
  // All batches fit into half of the time, however many there are.
  const pauseMs = Math.min(batchPauseMs, timeoutMs / 2 / Math.max(1, batchCount));
  for (let start = 0; start < all.length; start += batchSize) {
    for (const session of all.slice(start, start + batchSize)) session.close('going_away');
    await sleep(pauseMs);
  }
  while (sessions.size > 0 && clock.monotonicMs() < deadlineMs) await sleep(pollMs);
  return all.length;
}

/** Synchronous: the thread ends right after. */
export function abandonSessions(sessions: Iterable<Session>): void {
  for (const session of [...sessions]) {
    try {
      session.close('shard_restart');
    } catch {
      // one session that cannot be closed must not keep the others from their close frame
    }
  }
}
