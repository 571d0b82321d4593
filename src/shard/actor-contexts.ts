/**
 * What each kind of actor is given of its shard: ports onto tables, rings, clock and counters.
 * Thread: shard. Called by shard.ts, once each.
 */
import type { Clock } from '#kit/clock.ts';
import { systemMessageIds } from '#kit/message-id.ts';
import type { TimerWheel } from '#kit/timer-wheel.ts';
import { inboxOf, type TopicName, type UserKey, userOfKey } from '#proto/names.ts';
import type { RecordBodies } from '#proto/record.ts';
import { systemResumeTokens } from '../auth/resume-tokens.ts';
import type { TokenVerifier } from '../auth/verify-token.ts';
import type { Config } from '../config/load-config.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { HotWindows } from '../log/hot-windows.ts';
import type { MarkBuffer } from '../log/mark-buffer.ts';
import type { LogContext } from '../log/ports.ts';
import type { Logger } from '../observe/logger.ts';
import type { MetricsRow } from '../observe/metrics-table.ts';
import type { BoardContext } from '../presence/ports.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';
import { topicClassOf } from '../routing/topic-class.ts';
import type { SessionContext, SessionLimits, SessionLog } from '../session/ports.ts';
import type { TopicContext } from '../topic/ports.ts';
import type { KeepBuffer } from '../user/keep-buffer.ts';
import type { DirectCopy, UserContext } from '../user/ports.ts';
import { messageToBody } from '../wire/message.ts';
import type { DutyCycle } from './duty-cycle.ts';
import type { Homes } from './homes.ts';
import { noCorrelation } from './pending-requests.ts';
import type { SessionTable } from './session-table.ts';
import { acceptanceCounters, sessionCounters, topicCounters, userCounters } from './shard-counters.ts';
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
  keeps: KeepBuffer;
}

export function topicContext(world: ActorWorld): TopicContext {
  const { config, recentKeys, metrics } = world;
  return {
    ...logContext(world),
    ...boardContext(world),
    recentKeys,
    classOf: (topic) => topicClassOf(config.topics, topic),
    counters: topicCounters(metrics),
  };
}

/** Of boards and topics: where what they tell goes. */
function boardContext(world: ActorWorld): BoardContext {
  const { config, clock, timers, duty, homes, subscribers, links, metrics } = world;
  return {
    ...{ clock, timers, flushes: duty, presenceGraceMs: config.presenceGraceMs },
    subscribers: {
      deliver(shard, topic, lane, batch) {
        if (shard === homes.self) {
          subscribers.deliver(topic, lane, batch);
          return 'sent';
        }
        const { frameCount, frames, delivery, upTo } = batch;
        if ((delivery === 'low' || delivery === 'typing') && links.isCongested(shard)) {
          metrics.addTo('messagesDropped', delivery, frameCount);
          return 'sent';
        }
        const body: RecordBodies['topicDeliver'] = [topic, ...lane, frameCount, frames, delivery, upTo];
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
  const { recentKeys, config, homes, sessions, links, keeps, metrics } = world;
  const classOf = (topic: TopicName) => topicClassOf(config.topics, topic);
  return {
    ...logContext(world),
    ...boardContext(world),
    ...{ recentKeys, keeps, classOf, self: homes.self, sessionTtlMs: config.sessionTtlMs },
    counters: userCounters(metrics),
    isKept: (user) => classOf(inboxOf(userOfKey(user))) !== 'volatile',
    sessionsMax: config.connectionsPerUserMax,
    homeOf: (user) => homes.of(user),
    sessions: {
      deliver(shard, ids, inboxOffset = 0, frame, delivery) {
        if (shard === homes.self) {
          sessions.deliver(ids, inboxOffset, { frameCount: 1, frames: frame, delivery });
          return 'sent';
        }
        const body: RecordBodies['sessionDeliver'] = [ids, inboxOffset, 1, frame, delivery];
        return links.send(shard, 'sessionDeliver', noCorrelation, body) === 'dropped' ? 'lost' : 'sent';
      },
      hide(shard, ids, isHidden) {
        if (shard === homes.self) sessions.hide(ids, isHidden);
        else links.send(shard, 'sessionHide', noCorrelation, [ids, isHidden]);
      },
      replace(shard, session) {
        if (shard === homes.self) sessions.get(session)?.close('replaced');
        else links.send(shard, 'sessionReplace', noCorrelation, [session]);
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
  parts: Pick<SessionContext, 'topics' | 'users' | 'presence' | 'history' | 'isStoreUp'>,
): SessionContext {
  const { config, version, clock, timers, duty, metrics, log, homes, sessions } = world;
  return {
    clock,
    onEnded: (session) => sessions.delete(session),
    correlations: systemMessageIds,
    resumeTokens: systemResumeTokens,
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
    awayAfterMs: config.awayAfterMs,
    watchedUsersMax: config.watchedUsersMax,
    sessionTtlMs: config.sessionTtlMs,
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
