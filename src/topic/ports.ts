/** What a topic needs of the world around it. */
import type { Clock } from '#kit/clock.ts';
import type { ShardId, TopicKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';

export interface TopicContext {
  clock: Clock;
  /** Gives accepted messages their ids, once per key. One for all topics and users of the shard. */
  recentKeys: RecentKeys;
  subscribers: SubscriberPort;
  flushes: FlushPort;
  counters: TopicCounters;
}

/** Where the subscribers are. */
export interface SubscriberPort {
  /** Complete frames, joined, for everyone on this lane of that shard. */
  deliver(shard: ShardId, topic: TopicKey, lane: LaneSpec, frameCount: number, frames: Uint8Array): void;
}

/** Who calls `flush` of a topic that has something to say. */
export interface FlushPort {
  requestFlush(topic: FlushTarget, wait: FlushWait): void;
}

export interface FlushTarget {
  flush(): void;
}

/** `now`: this turn. `window`: a few milliseconds when busy. `lazy`: up to a tenth of a second. */
export type FlushWait = 'now' | 'window' | 'lazy';

export interface TopicCounters {
  expired(count: number): void;
  /** Publications waiting for a flush, up or down. */
  waiting(change: number): void;
}
