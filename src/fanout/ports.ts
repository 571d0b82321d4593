/** Where batches of a flush go, and who calls for one. */
import type { ShardId, TopicKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { LaneBatch } from './flush-batch.ts';

/** Where the subscribers are. */
export interface SubscriberPort {
  /** To everyone on this lane of that shard. 'lost' when there was no room on the way. */
  deliver: (shard: ShardId, topic: TopicKey, lane: LaneSpec, batch: LaneBatch) => 'sent' | 'lost';
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
