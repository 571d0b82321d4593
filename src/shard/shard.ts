/**
 * A shard: wires sessions, topics, users, rings and the HTTP endpoint together. No logic of its own.
 * Thread: shard (workers/shard.ts). Everything that a handler may touch is decided here.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemClock } from '#kit/clock.ts';
import { systemMessageIds } from '#kit/message-id.ts';
import { systemRandom } from '#kit/random.ts';
import { TimerWheel } from '#kit/timer-wheel.ts';
import type { AdmissionVerdict, SharedTables } from '#proto/control.ts';
import type { SessionId, ShardId } from '#proto/names.ts';
import { openKeySet } from '../auth/key-set.ts';
import { createTokenVerifier } from '../auth/verify-token.ts';
import type { Config } from '../config/load-config.ts';
import { Heartbeats } from '../observe/heartbeats.ts';
import type { Logger } from '../observe/logger.ts';
import { createMetricsPage } from '../observe/metrics-page.ts';
import { MetricsRow, MetricsTable } from '../observe/metrics-table.ts';
import { RecentKeys } from '../protect/recent-keys.ts';
import type { SessionContext, SessionLimits, SessionLog } from '../session/ports.ts';
import type { TopicContext } from '../topic/ports.ts';
import type { UserContext } from '../user/ports.ts';
import { DutyCycle } from './duty-cycle.ts';
import { abandonSessions, drainSessions } from './goodbye.ts';
import { Homes } from './homes.ts';
import { openHttpEndpoint } from './http/http-server.ts';
import { noCorrelation, PendingRequests } from './pending-requests.ts';
import { takeRecord } from './ring-intake.ts';
import { SessionTable } from './session-table.ts';
import { publicationCounters, sessionCounters } from './shard-counters.ts';
import { ShardGauges } from './shard-gauges.ts';
import { SocketIntake } from './socket-intake.ts';
import { SubscriberTable } from './subscriber-table.ts';
import type { LinkMemory } from './thread-link.ts';
import { ThreadLinks } from './thread-links.ts';
import { RoutedTopicPort } from './topic-port.ts';
import { TopicTable } from './topic-table.ts';
import { Upgrade } from './upgrade.ts';
import { RoutedUserPort } from './user-port.ts';
import { UserTable } from './user-table.ts';
import { messageToBody } from '../wire/message.ts';

/** What the primary tells a shard at its birth. */
export interface ShardStart {
  shard: ShardId;
  config: Config;
  version: string;
  /** Verifies HS256 tokens; undefined where public keys do. */
  secret: string | undefined;
  /** Whether `secret` may sign tokens for the demo page. */
  isSecretForDevelopment: boolean;
  startedAtMs: number;
  shared: SharedTables;
}

/** What the primary may ask of a shard. */
export interface Shard {
  adoptSocket(socket: Socket, address: string, verdict: AdmissionVerdict): void;
  connectPeer(peer: ShardId, memory: LinkMemory): void;
  disconnectPeer(peer: ShardId): void;
  drain(timeoutMs: number): Promise<number>;
  /** The thread is about to die: close frames, synchronously. */
  abandon(): void;
}

/** Resolves when the shard can take sockets. `onClosed` hears the peer address of each socket that is gone. */
export async function openShard(start: ShardStart, log: Logger, onClosed: (address: string) => void): Promise<Shard> {
  const { shard, config, shared, version } = start;
  const metrics = new MetricsRow(shared.metrics, shard);
  const metricsTable = new MetricsTable(shared.metrics);
  const heartbeats = new Heartbeats(shared.heartbeats);
  const clock = systemClock;
  const timers = new TimerWheel(clock.monotonicMs());
  const homes = new Homes(shard, config.shards);
  const pending = new PendingRequests();
  const sessions = new SessionTable();
  const subscribers = new SubscriberTable();
  const recentKeys = new RecentKeys(clock);
  const keys = openKeySet(config, start.secret);
  await keys.load();
  const tokens = createTokenVerifier(keys, config.roles);

  const duty = new DutyCycle({
    clock,
    flushIntervalMs: config.flushIntervalMs,
    readRings: (recordsMax) => links.read((header, body) => takeRecord(header, body, intake), recordsMax),
    flushRings: () => links.flush(),
    hasRingBacklog: () => links.hasBacklog,
    trySleep: () => links.tryArm(),
    onTick() {
      const nowMs = clock.monotonicMs();
      heartbeats.beat(shard);
      timers.turn(nowMs);
      gauges.measure(nowMs);
    },
    onFlush: () => metrics.add('flushes'),
  });
  const links = new ThreadLinks({ self: shard, clock, metrics }, duty.wake);
  const topicContext: TopicContext = {
    clock,
    messageIds: systemMessageIds,
    recentKeys,
    flushes: duty,
    counters: publicationCounters(metrics),
    subscribers: {
      deliver(to, topic, lane, frameCount, frames) {
        if (to === shard) subscribers.deliver(topic, lane, frameCount, frames);
        else links.send(to, 'topicDeliver', noCorrelation, [topic, ...lane, frameCount, frames]);
      },
    },
  };
  const topics = new TopicTable(topicContext);
  const userContext: UserContext = {
    clock,
    messageIds: systemMessageIds,
    recentKeys,
    counters: publicationCounters(metrics),
    sessionsMax: config.connectionsPerUserMax,
    sessions: {
      deliver(to, ids, frame) {
        if (to === shard) sessions.deliver(ids, 1, frame);
        else links.send(to, 'sessionDeliver', noCorrelation, [ids, 1, frame]);
      },
      copyToSender(sender, copy) {
        const home = homes.of(sender);
        if (home === shard) return users.deliverCopy(sender, copy);
        const { to, message, messageId, except } = copy;
        links.send(home, 'userDirect', noCorrelation, [sender, to, sender, except ?? null, messageId, ...messageToBody(message)]);
      },
    },
  };
  const users = new UserTable(userContext);
  const gauges = new ShardGauges(metrics, {
    sessionCount: () => sessions.size,
    topicCount: () => topics.size,
    userCount: () => users.size,
  });
  const intake = { links, pending, topics, users, subscribers, sessions };
  const topicPort = new RoutedTopicPort({ homes, links, pending, topics, subscribers });
  const userPort = new RoutedUserPort({ homes, links, pending, users });
  const sessionContext: SessionContext = {
    clock,
    correlations: systemMessageIds,
    timers,
    limits: sessionLimits(config),
    node: { nodeId: config.nodeId, shard, version },
    tokens,
    topics: topicPort,
    users: userPort,
    schedule: duty,
    counters: sessionCounters(metrics),
    log: sessionLog(log),
  };
  let isDraining = false;
  const { server } = await openHttpEndpoint({
    config,
    version,
    shard,
    startedAtMs: start.startedAtMs,
    correlations: systemMessageIds,
    tokens,
    topics: topicPort,
    users: userPort,
    metricsPage: createMetricsPage(shared.metrics, config.shards),
    log,
    isDraining: () => isDraining,
    shardsUp: () => Array.from({ length: config.shards }, (_, peer) => metricsTable.row('shardUp', peer)[0] === 1),
    developmentSecret: start.isSecretForDevelopment ? start.secret : undefined,
  });
  const sockets = new SocketIntake({ server, clock, timers, onClosed });
  const upgrade = new Upgrade({
    config,
    metrics,
    tokens,
    sessions,
    sessionContext,
    newSessionId: () => systemMessageIds.next() as SessionId,
    verdictOf: (socket) => sockets.verdictOf(socket),
    isDraining: () => isDraining,
  });
  server.on('upgrade', (request, socket: Duplex, head) => upgrade.onUpgrade(request, socket, head));
  duty.start();

  return {
    adoptSocket: (socket, address, verdict) => sockets.adopt(socket, address, verdict),
    connectPeer(peer, memory) {
      links.connect(peer, memory);
      topicPort.onHomeUp(peer);
      for (const session of sessions) session.onHomeUp(peer);
    },
    disconnectPeer(peer) {
      links.disconnect(peer);
      topics.dropShard(peer);
      users.dropShard(peer);
      topicPort.onHomeDown(peer);
      pending.failAll(peer);
    },
    async drain(timeoutMs) {
      isDraining = true;
      return drainSessions(sessions, timeoutMs, systemRandom);
    },
    abandon: () => abandonSessions(sessions),
  };
}

function sessionLimits(config: Config): SessionLimits {
  return {
    messageBytesMax: config.messageBytesMax,
    subscriptionsMax: config.subscriptionsMax,
    outboxBytesMax: config.outboxBytesMax,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    clientTimeoutMs: config.clientTimeoutMs,
    envelopeRate: config.rateLimitEnabled ? { ...config.rateLimitConnection, burst: config.rateLimitBurst } : undefined,
  };
}

function sessionLog(log: Logger): SessionLog {
  return {
    failed: (session, correlation, error) => log.error({ session, correlation, err: error }, 'a handler threw; its session ends'),
    opened: (session, user, encoding) => log.debug({ session, user, encoding }, 'session opened'),
    closed: (session, close) => log.debug({ session, close }, 'session closed'),
  };
}
