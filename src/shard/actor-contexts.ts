/**
 * What each kind of actor is given of its shard: ports onto tables, rings, clock and counters.
 * Thread: shard. Called by shard.ts, once each.
 */
import type { Clock } from '#kit/clock.ts';
import { systemMessageIds } from '#kit/message-id.ts';
import type { TimerWheel } from '#kit/timer-wheel.ts';
import type { UserKey } from '#proto/names.ts';
import type { RecordBodies } from '#proto/record.ts';
import type { TokenVerifier } from '../auth/verify-token.ts';
import type { Config } from '../config/load-config.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { HotWindows } from '../log/hot-windows.ts';
import type { MarkBuffer } from '../log/mark-buffer.ts';
import type { LogContext } from '../log/ports.ts';
import type { Logger } from '../observe/logger.ts';
import type { MetricsRow } from '../observe/metrics-table.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';
import { topicClassOf } from '../routing/topic-class.ts';
import type { SessionContext, SessionLimits, SessionLog } from '../session/ports.ts';
import type { TopicContext } from '../topic/ports.ts';
import type { DirectCopy, UserContext } from '../user/ports.ts';
import { messageToBody } from '../wire/message.ts';
import type { DutyCycle } from './duty-cycle.ts';
import type { Homes } from './homes.ts';
import { noCorrelation } from './pending-requests.ts';
import type { SessionTable } from './session-table.ts';
import { acceptanceCounters, sessionCounters, topicCounters } from './shard-counters.ts';
import type { StorePort } from './store-port.ts';
import type { SubscriberTable } from './subscriber-table.ts';
import type { UserTable } from './user-table.ts';

/** The parts of a shard that its actors reach. */
export interface ActorWorld {
  config: Config;
  version: string;
  clock: Clock;
  timers: TimerWheel;
  metrics: MetricsRow;
  log: Logger;
  homes: Homes;
  links: ThreadLinks;
  duty: DutyCycle;
  recentKeys: RecentKeys;
  sessions: SessionTable;
  subscribers: SubscriberTable;
  store: StorePort;
  windows: HotWindows;
  marks: MarkBuffer;
}

export function topicContext(world: ActorWorld): TopicContext {
  const { config, recentKeys, duty, metrics, homes, subscribers, links } = world;
  return {
    ...logContext(world),
    recentKeys,
    classOf: (topic) => topicClassOf(config.topics, topic),
    flushes: duty,
    counters: topicCounters(metrics),
    subscribers: {
      deliver(shard, topic, lane, frameCount, frames) {
        if (shard === homes.self) {
          subscribers.deliver(topic, lane, frameCount, frames);
          return 'sent';
        }
        const body: RecordBodies['topicDeliver'] = [topic, ...lane, frameCount, frames];
        return links.send(shard, 'topicDeliver', noCorrelation, body) === 'dropped' ? 'lost' : 'sent';
      },
      tellLost: (shard, topic, lane) => void links.send(shard, 'topicLost', noCorrelation, [topic, ...lane]),
    },
  };
}

function logContext({ clock, timers, store, windows, marks, metrics }: ActorWorld): LogContext {
  const acceptance = acceptanceCounters(metrics);
  return { clock, timers, store, windows, marks, messageIds: systemMessageIds, acceptance };
}

/** `users` is asked for late: the table is made with this context. */
export function userContext(world: ActorWorld, users: () => UserTable): UserContext {
  const { recentKeys, config, homes, sessions, links } = world;
  return {
    ...logContext(world),
    recentKeys,
    sessionsMax: config.connectionsPerUserMax,
    classOf: (topic) => topicClassOf(config.topics, topic),
    homeOf: (user) => homes.of(user),
    sessions: {
      deliver(shard, ids, inboxOffset = 0, frame) {
        if (shard === homes.self) {
          sessions.deliver(ids, inboxOffset, 1, frame);
          return 'sent';
        }
        const sent = links.send(shard, 'sessionDeliver', noCorrelation, [ids, inboxOffset, 1, frame]);
        return sent === 'dropped' ? 'lost' : 'sent';
      },
      tellLost: (shard, ids) => void links.send(shard, 'sessionLost', noCorrelation, [ids]),
      tellReceipt(user, { by, kind, offset }) {
        const home = homes.of(user);
        if (home === homes.self) users().deliverReceipt(user, by, kind, offset);
        else links.send(home, 'userReceipt', noCorrelation, [user, by, kind, offset]);
      },
      copyToSender(sender, copy) {
        if (homes.of(sender) === homes.self) users().deliverCopy(sender, copy);
        else sendCopy(sender, copy, world);
      },
    },
  };
}

export function sessionContext(
  world: ActorWorld,
  tokens: TokenVerifier,
  parts: Pick<SessionContext, 'topics' | 'users' | 'history' | 'isStoreUp'>,
): SessionContext {
  const { config, version, clock, timers, duty, metrics, log, homes } = world;
  return {
    clock,
    correlations: systemMessageIds,
    timers,
    limits: sessionLimits(config),
    node: { nodeId: config.nodeId, shard: homes.self, version },
    tokens,
    ...parts,
    classOf: (topic) => topicClassOf(config.topics, topic),
    schedule: duty,
    counters: sessionCounters(metrics, () => duty.onWrite()),
    log: sessionLog(log),
  };
}

function sendCopy(
  sender: UserKey,
  { to, message, messageId, except }: DirectCopy,
  { homes, links }: ActorWorld,
): void {
  const body: RecordBodies['userCopy'] = [sender, to, except ?? null, messageId, ...messageToBody(message)];
  links.send(homes.of(sender), 'userCopy', noCorrelation, body);
}

function sessionLimits(config: Config): SessionLimits {
  return {
    messageBytesMax: config.messageBytesMax,
    subscriptionsMax: config.subscriptionsMax,
    outboxBytesMax: config.outboxBytesMax,
    heartbeatIntervalMs: config.heartbeatIntervalMs,
    clientTimeoutMs: config.clientTimeoutMs,
    envelopeRate: config.rateLimitEnabled
      ? { ...config.rateLimitConnection, burst: config.rateLimitBurst }
      : undefined,
  };
}

function sessionLog(log: Logger): SessionLog {
  return {
    failed: (session, correlation, error) =>
      log.error({ session, correlation, err: error }, 'a handler threw; its session ends'),
    opened: (session, user, encoding) => log.debug({ session, user, encoding }, 'session opened'),
    closed: (session, close) => log.debug({ session, close }, 'session closed'),
  };
}
