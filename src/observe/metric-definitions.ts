/**
 * Every metric of the server, declared once: name, kind, help, labels. Cells in shared memory follow this order.
 * Label values are closed sets: never a topic, a user or anything else that clients choose.
 */
import { closeCodes } from '#proto/close-codes.ts';
import { type ErrorCode, errorCodes } from '#proto/error-codes.ts';

export interface MetricDefinition {
  name: string;
  kind: 'counter' | 'gauge' | 'histogram';
  help: string;
  /** One label and its closed set of values; none: a single series. */
  label?: { name: string; values: readonly string[] };
  /** Upper bounds of a histogram's buckets. */
  buckets?: readonly number[];
  /** Rendered with a `shard` label instead of summed over the threads. */
  isPerShard?: true;
}

/** Close codes that are counted by name; all others are `other`. */
export const closeLabels: readonly string[] = [
  ...Object.values(closeCodes).map((row) => String(row.code)),
  '1000',
  '1001',
  '1005',
  '1006',
  'other',
];

export const metricDefinitions = {
  connectionsActive: gauge('websocket_connections_active', 'WebSocket connections open now'),
  connectionsTotal: counter('websocket_connections_total', 'WebSocket connections accepted since the start'),
  connectionsRefused: counter('websocket_connections_refused_total', 'Upgrades refused, by reason', {
    name: 'reason',
    values: [
      'origin',
      'path',
      'batch',
      'too_fast',
      'too_many_from_address',
      'full',
      'draining',
      'unauthorized',
    ],
  }),
  closes: counter('websocket_closes_total', 'Connections closed, by close code', {
    name: 'code',
    values: closeLabels,
  }),
  messages: counter('websocket_messages_total', 'Envelopes received from and frames delivered to clients', {
    name: 'direction',
    values: ['in', 'out'],
  }),
  bytes: counter('websocket_bytes_total', 'Bytes of frames received from and written to clients', {
    name: 'direction',
    values: ['in', 'out'],
  }),
  messagesPerSecond: gauge(
    'websocket_messages_per_second',
    'Envelopes and frames per second, both directions, over the last five seconds: a rate over websocket_messages_total',
  ),
  errors: counter('websocket_errors_total', 'Errors sent to clients, by code', {
    name: 'code',
    values: Object.keys(errorCodes) as ErrorCode[],
  }),
  subscriptions: gauge('subscriptions_active', 'Subscriptions of sessions to topics now'),
  actors: gauge('actors_active', 'Actors alive now, by kind', {
    name: 'actor',
    values: ['session', 'topic', 'user'],
  }),
  mailboxSize: gauge('actor_mailbox_size', 'Messages waiting in the mailboxes of actors now, by kind', {
    name: 'actor',
    values: ['session', 'topic'],
  }),
  mailboxFull: counter(
    'actor_mailbox_full_total',
    'Messages refused or reading paused because a mailbox was full',
    {
      name: 'outcome',
      values: ['paused', 'refused'],
    },
  ),
  publications: counter('publications_total', 'Publications accepted, by what became of them', {
    name: 'outcome',
    values: ['accepted', 'duplicate', 'expired'],
  }),
  outboxBytes: gauge('outbox_bytes', 'Bytes waiting for slow clients now'),
  slowConsumers: counter('slow_consumers_total', 'Connections closed because their outbox passed its limit'),
  sessionsDetached: gauge('sessions_detached', 'Sessions that lost their connection and may be resumed now'),
  sessionResumes: counter('session_resumes_total', 'Commands Resume, by what became of them', {
    name: 'outcome',
    values: ['resumed', 'failed'],
  }),
  messagesDropped: counter(
    'messages_dropped_total',
    'Deliveries dropped because a client did not keep up or there were too many at once, by class',
    { name: 'class', values: ['low', 'typing'] },
  ),
  flushes: counter('flushes_total', 'Flushes of a shard'),
  writes: counter('socket_writes_total', 'Writes to client sockets: one per connection and flush'),
  ringRecords: counter('ring_records_total', 'Records written to rings'),
  ringBytes: counter('ring_bytes_total', 'Bytes written to rings'),
  ringDoorbells: counter('ring_doorbells_total', 'Wake-ups of a sleeping reader'),
  ringBacklogBytes: gauge('ring_backlog_bytes', 'Bytes waiting for room in a ring now'),
  ringShed: counter(
    'ring_shed_total',
    'Records not written because a ring and its backlog were full, by outcome',
    {
      name: 'outcome',
      values: ['refused', 'dropped'],
    },
  ),
  ringDelay: histogram(
    'ring_delay_seconds',
    'From writing a record to reading it in the other thread',
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
  ),
  sessionFailures: counter(
    'session_failures_total',
    'Sessions closed because a handler threw: each one is a bug',
  ),
  actorFailures: counter('actor_failures_total', 'Topics and users that threw: each one is a bug'),
  shardRestarts: counter('shard_restarts_total', 'Restarts of shard threads'),
  storeRestarts: counter('store_restarts_total', 'Restarts of the store thread'),
  storeMessages: counter(
    'store_messages_total',
    'Messages given to the store in batches, by what became of them',
    {
      name: 'outcome',
      values: ['stored', 'failed'],
    },
  ),
  storeQueries: counter('store_queries_total', 'Questions that shards asked the store, by what was asked', {
    name: 'query',
    values: [
      'page',
      'find',
      'search',
      'mark',
      'receipts',
      'erase',
      'keep',
      'kept',
      'seen',
      'dropSessions',
      'stats',
    ],
  }),
  storePruned: counter('store_pruned_total', 'Entries of topics that were taken away because of their age'),
  storeArchived: counter('store_archived_total', 'Entries of topics that were moved to archive files'),
  storeCommit: histogram(
    'store_commit_seconds',
    'One transaction of the store: a batch of messages and its commit',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
  ),
  shardUp: { ...gauge('shard_up', 'Whether the shard is serving'), isPerShard: true },
  loopDelay: {
    ...gauge('shard_loop_delay_seconds', 'Event loop delay of the shard, p99 of the last five seconds'),
    isPerShard: true,
  },
  circuitBreakerState: gauge(
    'circuit_breaker_state',
    'State of the circuit breaker: 0 closed, 1 half open, 2 open',
    {
      name: 'dependency',
      values: ['store'],
    },
  ),
  logLinesDropped: counter(
    'log_lines_dropped_total',
    'Log lines dropped because the reader of the log is too slow',
  ),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metricDefinitions;

function counter(name: string, help: string): { name: string; kind: 'counter'; help: string };
function counter<const Value extends string>(
  name: string,
  help: string,
  label: Label<Value>,
): Labelled<'counter', Value>;
function counter<Value extends string>(name: string, help: string, label?: Label<Value>) {
  return { name, kind: 'counter', help, ...(label === undefined ? {} : { label }) };
}

function gauge(name: string, help: string): { name: string; kind: 'gauge'; help: string };
function gauge<const Value extends string>(
  name: string,
  help: string,
  label: Label<Value>,
): Labelled<'gauge', Value>;
function gauge<Value extends string>(name: string, help: string, label?: Label<Value>) {
  return { name, kind: 'gauge', help, ...(label === undefined ? {} : { label }) };
}

function histogram(name: string, help: string, buckets: readonly number[]) {
  return { name, kind: 'histogram' as const, help, buckets };
}

interface Label<Value extends string> {
  name: string;
  values: readonly Value[];
}

interface Labelled<Kind, Value extends string> {
  name: string;
  kind: Kind;
  help: string;
  label: Label<Value>;
}
