/** What a board of presence needs of the world around it. */
import type { Clock } from '#kit/clock.ts';
import type { TimerWheel } from '#kit/timer-wheel.ts';
import type { FlushPort, SubscriberPort } from '../fanout/ports.ts';

/** One object for all boards of a shard. */
export interface BoardContext {
  clock: Clock;
  timers: Pick<TimerWheel, 'schedule' | 'cancel'>;
  flushes: FlushPort;
  subscribers: SubscriberPort;
  /** A session that was lost counts for so long, milliseconds. */
  presenceGraceMs: number;
}
