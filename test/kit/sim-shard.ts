/**
 * A shard of a simulation: wired as src/shard/shard.ts does it, with the real tables, ports, intake and actors; links that
 * are queues, a clock by hand, and turns that the simulation asks for.
 */
import type { Clock } from '#kit/clock.ts';
import type { MessageIds } from '#kit/message-id.ts';
import { TimerWheel } from '#kit/timer-wheel.ts';
import { type SessionId, type ShardId, storePeer } from '#proto/names.ts';
import type { Config } from '../../src/config/load-config.ts';
import { HotWindows } from '../../src/log/hot-windows.ts';
import { MarkBuffer } from '../../src/log/mark-buffer.ts';
import type { Logger } from '../../src/observe/logger.ts';
import { allocateMetrics, MetricsRow } from '../../src/observe/metrics-table.ts';
import { RecentKeys } from '../../src/protect/recent-keys.ts';
import { topicClassOf } from '../../src/routing/topic-class.ts';
import type { AnswerReceiver, Correlation, SessionContext } from '../../src/session/ports.ts';
import { Session } from '../../src/session/session.ts';
import {
  type ActorWorld,
  sessionContext,
  topicContext,
  userContext,
} from '../../src/shard/actor-contexts.ts';
import type { DutyCycle } from '../../src/shard/duty-cycle.ts';
import { StoredHistoryPort } from '../../src/shard/history-port.ts';
import { Homes } from '../../src/shard/homes.ts';
import { LaneHomes } from '../../src/shard/lane-homes.ts';
import { PendingRequests } from '../../src/shard/pending-requests.ts';
import { RoutedPresencePort } from '../../src/shard/presence-port.ts';
import { takeRecord } from '../../src/shard/ring-intake.ts';
import { SessionInspection } from '../../src/shard/session-inspection.ts';
import { SessionTable } from '../../src/shard/session-table.ts';
import { acceptanceCounters } from '../../src/shard/shard-counters.ts';
import { Sliced } from '../../src/shard/sliced.ts';
import { StorePort } from '../../src/shard/store-port.ts';
import { SubscriberTable } from '../../src/shard/subscriber-table.ts';
import { RoutedTopicPort } from '../../src/shard/topic-port.ts';
import { TopicTable } from '../../src/shard/topic-table.ts';
import { RoutedUserPort } from '../../src/shard/user-port.ts';
import { UserTable } from '../../src/shard/user-table.ts';
import { KeepBuffer } from '../../src/user/keep-buffer.ts';
import type { Answer } from '../../src/wire/message.ts';
import { SimDuty } from './sim-duty.ts';
import { type Effects, type SimLink, SimLinks } from './sim-link.ts';
import type { Dice } from './sim-random.ts';
import type { ServerEnd } from './sim-wire.ts';

export interface SimShardContext {
  id: ShardId;
  shardCount: number;
  clock: Clock;
  ids: MessageIds;
  config: Config;
  effects: Effects;
  windowBytesMax: number;
}

export class SimShard {
  readonly id: ShardId;
  readonly effects: Effects;
  readonly links: SimLinks;
  readonly windows: HotWindows;
  readonly timers: TimerWheel;
  readonly metrics: MetricsRow;
  readonly topics: TopicTable;
  readonly users: UserTable;
  readonly subscribers = new SubscriberTable();
  readonly sessions = new SessionTable();
  readonly pending = new CountedRequests();
  readonly store: StorePort;
  /** What an actor or a handler threw, each one a bug. */
  readonly failures: unknown[] = [];
  readonly connections = new Set<ServerEnd>();
  readonly #clock: Clock;
  readonly #ids: MessageIds;
  readonly #duty: SimDuty;
  readonly #topicPort: RoutedTopicPort;
  readonly #sessionContext: SessionContext;
  readonly #take: Parameters<SimLinks['readSome']>[0];
  #isStoreUp = true;

  constructor({ id, shardCount, clock, ids, config, effects, windowBytesMax }: SimShardContext) {
    this.id = id;
    this.effects = effects;
    this.#clock = clock;
    this.#ids = ids;
    this.metrics = new MetricsRow(allocateMetrics(1), 0);
    this.links = new SimLinks({ self: id, clock, metrics: this.metrics });
    this.store = new StorePort(this.links);
    this.timers = new TimerWheel(clock.monotonicMs());
    this.windows = new HotWindows(windowBytesMax);
    this.#duty = new SimDuty(clock);
    const homes = new Homes(id, shardCount);
    const { metrics, links, sessions, subscribers, store, timers, windows, pending } = this;
    const world: ActorWorld = {
      ...{
        config,
        version: 'sim',
        clock,
        metrics,
        homes,
        links,
        timers,
        sessions,
        subscribers,
        store,
        windows,
      },
      log: this.#log(),
      duty: this.#duty as unknown as DutyCycle,
      recentKeys: new RecentKeys(clock, ids, acceptanceCounters(metrics)),
      marks: new MarkBuffer({ clock, timers, store }),
      keeps: new KeepBuffer({ clock, timers, store }),
    };
    this.topics = new TopicTable({ ...topicContext(world), messageIds: ids });
    this.users = new UserTable({ ...userContext(world, () => this.users), messageIds: ids });
    const route = { homes, links, pending };
    const laneHomes = new LaneHomes(this.topics, this.users);
    this.#topicPort = new RoutedTopicPort({
      ...{ ...route, laneHomes, topics: this.topics, subscribers },
      ...{ schedule: this.#duty, classOf: (topic) => topicClassOf(config.topics, topic) },
    });
    const users = new RoutedUserPort({ ...route, users: this.users });
    const presence = new RoutedPresencePort({ ...route, topics: this.topics, users: this.users });
    const inspection = new SessionInspection({
      ...{ self: id, shardCount, clock, sessions, users: this.users, links, pending },
    });
    const history = new StoredHistoryPort(store, pending);
    const noTokens = {
      verify: () => ({ ok: false as const, refusal: { code: 'unauthorized' as const, message: '' } }),
    };
    this.#sessionContext = {
      ...sessionContext(world, noTokens as never, {
        topics: this.#topicPort,
        users,
        presence,
        history,
        isStoreUp: () => this.#isStoreUp,
      }),
      correlations: ids,
    };
    const intake = {
      ...{ links, pending, topics: this.topics, users: this.users, subscribers, sessions, store },
      ...{ topicPort: this.#topicPort, laneHomes, inspection },
      windows: world.windows,
      onStoreHealth: (isUp: boolean) => this.#onStoreHealth(isUp),
      onFailure: (error: unknown) => {
        this.failures.push(error);
        return 'failure';
      },
    };
    this.#take = (header, body) => takeRecord(header, body, intake);
  }

  /** As upgrade.ts, after a handshake with a good token. */
  open(end: ServerEnd): Session {
    const session = new Session(this.#ids.next() as SessionId, end.encoding, end, this.#sessionContext);
    this.connections.add(end);
    this.sessions.add(session);
    session.authenticate(end.identity(this.#clock.wallMs()));
    return session;
  }

  onClosed(end: ServerEnd, session: Session, code: number): void {
    this.connections.delete(end);
    session.onTransportClosed(code);
  }

  /** Shard.connectPeer */
  connectPeer(peer: ShardId, link: SimLink): void {
    this.links.attach(peer, link);
    if (peer === storePeer) return;
    this.#topicPort.onHomeUp(peer);
    this.#duty.requestSlice(new Sliced([...this.sessions], (session) => session.onHomeUp(peer)));
  }

  /** Shard.disconnectPeer */
  disconnectPeer(peer: ShardId): void {
    this.links.readToEnd(peer, this.#take);
    this.links.disconnect(peer);
    if (peer === storePeer) {
      this.store.onDown();
      return this.#onStoreHealth(false);
    }
    this.topics.dropShard(peer);
    this.users.dropShard(peer);
    this.#topicPort.onHomeDown(peer);
    this.pending.failAll(peer);
  }

  turn(dice: Dice): void {
    const nowMs = this.#clock.monotonicMs();
    for (const end of [...this.connections]) end.hear(dice);
    this.timers.turn(nowMs);
    this.windows.expire(nowMs);
    this.links.readSome(this.#take, dice);
    this.#duty.turn(dice);
  }

  get timeMs(): number {
    return this.#clock.monotonicMs();
  }

  /** Nothing is on its way inside of it. */
  get isQuiet(): boolean {
    return this.#duty.isIdle && this.pending.count === 0;
  }

  /** What is still there though every client left and time passed. */
  leaks(): string[] {
    const found: [what: string, count: number][] = [
      ['topics', this.topics.size],
      ['users', this.users.size],
      ['sessions', this.sessions.size],
      ['lanes', [...this.subscribers.lanes()].length],
      ['pending requests', this.pending.count],
      ['timers', this.timers.size],
      ['bytes in windows', this.windows.bytes],
      ['subscriptions', this.metrics.get('subscriptions')],
      ['connections', this.metrics.get('connectionsActive')],
      ['envelopes in mailboxes', this.metrics.getOf('mailboxSize', 'session')],
      ['publications that wait', this.metrics.getOf('mailboxSize', 'topic')],
    ];
    return found
      .filter(([, count]) => count !== 0)
      .map(([what, count]) => `shard ${this.id} has ${count} ${what}`);
  }

  #onStoreHealth(isUp: boolean): void {
    if (this.#isStoreUp === isUp) return;
    this.#isStoreUp = isUp;
    for (const session of this.sessions) if (session.isLive) session.replies.store(isUp);
  }

  #log(): Logger {
    const nothing = () => {};
    const error = (fields: { err?: unknown }) => void this.failures.push(fields.err);
    return { error, debug: nothing, info: nothing, warn: nothing } as unknown as Logger;
  }
}

/** Requests that were opened and neither settled nor forgotten. */
class CountedRequests extends PendingRequests {
  readonly #open = new Set<Correlation>();

  get count(): number {
    return this.#open.size;
  }

  override open(receiver: AnswerReceiver, home: ShardId): Correlation {
    const correlation = super.open(receiver, home);
    this.#open.add(correlation);
    return correlation;
  }

  override settle(correlation: Correlation, ...rest: [Parameters<PendingRequests['settle']>[1]]): void {
    this.#open.delete(correlation);
    super.settle(correlation, ...rest);
  }

  override notSent(correlation: Correlation, sent: 'refused' | 'dropped' | 'down'): Answer {
    this.#open.delete(correlation);
    return super.notSent(correlation, sent);
  }
}
