/** What a topic needs of the world around it. */
import type { TopicName } from '#proto/names.ts';
import type { LogContext } from '../log/ports.ts';
import type { BoardContext } from '../presence/ports.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';
import type { TopicClass } from '../routing/topic-class.ts';

export interface TopicContext extends LogContext, BoardContext {
  /** Gives accepted messages their ids, once per key. One for all topics and users of the shard. */
  recentKeys: RecentKeys;
  /** By the rules of the configuration. */
  classOf: (topic: TopicName) => TopicClass;
  counters: TopicCounters;
}

export interface TopicCounters {
  /** Not delivered because there was too much of it. */
  dropped(what: 'typing', count: number): void;
  expired(count: number): void;
  /** Publications waiting for a flush, up or down. */
  waiting(change: number): void;
}
