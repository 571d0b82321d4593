/** What a topic needs of the world around it. */
import type { ShardId, TopicKey, TopicName } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { LogContext } from '../log/ports.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';
import type { TopicClass } from '../routing/topic-class.ts';

export interface TopicContext extends LogContext {
  /** Gives accepted messages their ids, once per key. One for all topics and users of the shard. */
  recentKeys: RecentKeys;
  /** By the rules of the configuration. */
  classOf: (topic: TopicName) => TopicClass;
  subscribers: SubscriberPort;
  flushes: FlushPort;
  counters: TopicCounters;
}

/** Where the subscribers are. */
export interface SubscriberPort {
  /** Complete frames, joined, for everyone on this lane of that shard. 'lost' when there was no room on the way. */
  deliver: (
    shard: ShardId,
    topic: TopicKey,
    lane: LaneSpec,
    frameCount: number,
    frames: Uint8Array,
  ) => 'sent' | 'lost';
  /** Tells the lane's subscribers of that shard that something was lost, and that nothing follows. */
  tellLost: (shard: ShardId, topic: TopicKey, lane: LaneSpec) => void;
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
