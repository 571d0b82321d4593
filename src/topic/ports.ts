/** What a topic needs of the world around it. */
import type { Clock } from '#kit/clock.ts';
import type { MessageIds } from '#kit/message-id.ts';
import type { MessageId, ShardId, TopicKey, TopicName } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';
import type { TopicClass } from '../routing/topic-class.ts';
import type { AppendEntry } from '../store/history-store.ts';
import type { Position } from '../wire/message.ts';

export interface TopicContext {
  clock: Clock;
  /** Gives accepted messages their ids, once per key. One for all topics and users of the shard. */
  recentKeys: RecentKeys;
  /** Gives durable messages their ids, before their place is known. */
  messageIds: MessageIds;
  store: TopicStore;
  /** By the rules of the configuration. */
  classOf(topic: TopicName): TopicClass;
  subscribers: SubscriberPort;
  flushes: FlushPort;
  counters: TopicCounters;
}

/** The log of durable topics. */
export interface TopicStore {
  /** `onSettled` is called once, in the order of the calls, unless the answer is not 'sent'. */
  append(entry: AppendEntry, onSettled: (settled: AppendSettled) => void): AppendSent;
}

/** 'full' and 'down': it was not taken, and nothing is stored. */
export type AppendSent = 'sent' | 'full' | 'down';

export type AppendSettled =
  | { state: 'stored'; position: Position }
  | { state: 'duplicate'; messageId: MessageId; position: Position }
  /** Nothing is stored: another body under the same key, no room, a store that failed. */
  | { state: 'conflict' | 'full' | 'unavailable' };

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
  accepted(): void;
  duplicate(): void;
  expired(count: number): void;
  /** Publications waiting for a flush, up or down. */
  waiting(change: number): void;
}
