/** What the HTTP routes need of their shard. */
import type { Clock } from '#kit/clock.ts';
import type { MessageIds } from '#kit/message-id.ts';
import type { ShardId } from '#proto/names.ts';
import type { TokenVerifier } from '../../auth/verify-token.ts';
import type { Config } from '../../config/load-config.ts';
import type { Logger } from '../../observe/logger.ts';
import type { MetricsPage } from '../../observe/metrics-page.ts';
import type { KeyedBuckets } from '../../protect/keyed-buckets.ts';
import type { HistoryPort, PresencePort, TopicPort, UserPort } from '../../session/ports.ts';
import type { SessionInspection } from '../session-inspection.ts';

export interface HttpContext {
  config: Config;
  version: string;
  shard: ShardId;
  /** When the process started, wall clock. */
  startedAtMs: number;
  clock: Clock;
  correlations: MessageIds;
  tokens: TokenVerifier;
  /** Calls per user with a token; undefined: no limit. API keys are the operator's own. */
  callRates: KeyedBuckets | undefined;
  topics: TopicPort;
  users: UserPort;
  presence: PresencePort;
  inspection: SessionInspection;
  history: HistoryPort;
  metricsPage: MetricsPage;
  log: Logger;
  isDraining(): boolean;
  /** What is durable is taken, as far as this shard knows. */
  isStoreUp(): boolean;
  /** What all shards have at hand of logs goes. */
  forgetLogs(): void;
  /** Which shards serve now. */
  shardsUp(): boolean[];
  /** Signs tokens of the demo page; undefined where tokens come from elsewhere. */
  developmentSecret: string | undefined;
}
