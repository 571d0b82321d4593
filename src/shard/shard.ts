/**
 * A shard: wires sessions, topics, users, rings and the HTTP endpoint together. No logic of its own.
 * Thread: shard. Called by shard-control.ts. Everything that a handler may touch is decided here.
 */
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { systemClock } from '#kit/clock.ts';
import { systemMessageIds } from '#kit/message-id.ts';
import { systemRandom } from '#kit/random.ts';
import { TimerWheel } from '#kit/timer-wheel.ts';
import type { AdmissionVerdict, SharedTables } from '#proto/control.ts';
import { type SessionId, type ShardId, storePeer } from '#proto/names.ts';
import { openKeySet } from '../auth/key-set.ts';
import { createTokenVerifier, type TokenVerifier } from '../auth/verify-token.ts';
import type { Config } from '../config/load-config.ts';
import type { LinkMemory } from '../links/thread-link.ts';
import { type RecordHandler, ThreadLinks } from '../links/thread-links.ts';
import { HotWindows } from '../log/hot-windows.ts';
import { MarkBuffer } from '../log/mark-buffer.ts';
import { Heartbeats } from '../observe/heartbeats.ts';
import type { Logger } from '../observe/logger.ts';
import { createMetricsPage } from '../observe/metrics-page.ts';
import { MetricsRow, MetricsTable } from '../observe/metrics-table.ts';
import { KeyedBuckets } from '../protect/keyed-buckets.ts';
import { RecentKeys } from '../protect/recent-keys.ts';
import { topicClassOf } from '../routing/topic-class.ts';
import { KeepBuffer } from '../user/keep-buffer.ts';
import { type ActorWorld, sessionContext, topicContext, userContext } from './actor-contexts.ts';
import { DutyCycle } from './duty-cycle.ts';
import { abandonSessions, drainSessions } from './goodbye.ts';
import { StoredHistoryPort } from './history-port.ts';
import { Homes } from './homes.ts';
import { openHttpEndpoint } from './http/http-server.ts';
import { LaneHomes } from './lane-homes.ts';
import { noCorrelation, PendingRequests } from './pending-requests.ts';
import { RoutedPresencePort } from './presence-port.ts';
import { takeRecord } from './ring-intake.ts';
import { SessionInspection } from './session-inspection.ts';
import { SessionTable } from './session-table.ts';
import { acceptanceCounters } from './shard-counters.ts';
import { ShardGauges } from './shard-gauges.ts';
import { Sliced } from './sliced.ts';
import { SocketIntake } from './socket-intake.ts';
import { StorePort } from './store-port.ts';
import { SubscriberTable } from './subscriber-table.ts';
import { RoutedTopicPort } from './topic-port.ts';
import { TopicTable } from './topic-table.ts';
import { Upgrade } from './upgrade.ts';
import { RoutedUserPort } from './user-port.ts';
import { UserTable } from './user-table.ts';

/** What the primary tells a shard at its birth. */
export interface ShardStart {
  shard: ShardId;
  config: Config;
  version: string;
  /** Verifies HS tokens; undefined where public keys do. */
  secret: string | undefined;
  /** Whether `secret` may sign tokens for the demo page. */
  isSecretForDevelopment: boolean;
  startedAtMs: number;
  /** The last JSON Web Key Set that a shard of this process has loaded. */
  knownKeys: string | undefined;
  shared: SharedTables;
}

/** What the primary must hear. */
export interface ShardNews {
  /** The peer address of a socket that is gone. */
  onClosed: (address: string) => void;
  /** The key set that a successor may start with. */
  onKeys: (jwks: string) => void;
}

/** Resolves when the shard can take sockets. */
export async function openShard(start: ShardStart, log: Logger, toPrimary: ShardNews): Promise<Shard> {
  const keys = openKeySet(start.config, start.secret, { known: start.knownKeys, onLoaded: toPrimary.onKeys });
  await keys.open();
  const shard = new Shard(start, log, createTokenVerifier(keys, start.config.roles));
  await shard.openEndpoint(toPrimary.onClosed);
  return shard;
}

export class Shard {
  readonly #start: ShardStart;
  readonly #tokens: TokenVerifier;
  readonly #world: ActorWorld;
  readonly #links: ThreadLinks;
  readonly #pending = new PendingRequests();
  readonly #sessions = new SessionTable();
  readonly #subscribers = new SubscriberTable();
  readonly #topics: TopicTable;
  readonly #users: UserTable;
  readonly #store: StorePort;
  readonly #topicPort: RoutedTopicPort;
  readonly #userPort: RoutedUserPort;
  readonly #presencePort: RoutedPresencePort;
  readonly #inspection: SessionInspection;
  readonly #historyPort: StoredHistoryPort;
  readonly #takeRecord: RecordHandler;
  #sockets: SocketIntake | undefined;
  #isDraining = false;
  #isStoreUp = true;

  constructor(start: ShardStart, log: Logger, tokens: TokenVerifier) {
    this.#start = start;
    this.#tokens = tokens;
    const { shard, config, shared, version } = start;
    const clock = systemClock;
    const metrics = new MetricsRow(shared.metrics, shard);
    const homes = new Homes(shard, config.shards);
    const duty = this.#openDuty(new Heartbeats(shared.heartbeats), metrics);
    this.#links = new ThreadLinks({ self: shard, clock, metrics }, duty.wake);
    this.#store = new StorePort(this.#links);
    const timers = new TimerWheel(clock.monotonicMs());
    this.#world = {
      ...{ config, version, clock, metrics, log, homes, duty, timers },
      links: this.#links,
      recentKeys: new RecentKeys(clock, systemMessageIds, acceptanceCounters(metrics)),
      sessions: this.#sessions,
      subscribers: this.#subscribers,
      store: this.#store,
      windows: new HotWindows(),
      marks: new MarkBuffer({ clock, timers, store: this.#store }),
      keeps: new KeepBuffer({ clock, timers, store: this.#store }),
    };
    this.#topics = new TopicTable(topicContext(this.#world));
    this.#users = new UserTable(userContext(this.#world, () => this.#users));
    const route = { homes, links: this.#links, pending: this.#pending };
    const laneHomes = new LaneHomes(this.#topics, this.#users);
    this.#topicPort = new RoutedTopicPort({
      ...{ ...route, laneHomes, topics: this.#topics, subscribers: this.#subscribers },
      ...{ schedule: duty, classOf: (topic) => topicClassOf(config.topics, topic) },
    });
    this.#userPort = new RoutedUserPort({ ...route, users: this.#users });
    this.#presencePort = new RoutedPresencePort({ ...route, topics: this.#topics, users: this.#users });
    this.#inspection = new SessionInspection({
      ...{ self: shard, shardCount: config.shards, clock, sessions: this.#sessions },
      ...{ users: this.#users, links: this.#links, pending: this.#pending },
    });
    this.#historyPort = new StoredHistoryPort(this.#store, this.#pending);
    const intake = {
      ...{ links: this.#links, pending: this.#pending, topics: this.#topics, users: this.#users },
      ...{ topicPort: this.#topicPort, laneHomes, inspection: this.#inspection },
      windows: this.#world.windows,
      onStoreHealth: (isUp: boolean) => this.#onStoreHealth(isUp),
      ...{ subscribers: this.#subscribers, sessions: this.#sessions, store: this.#store },
      onFailure: (error: unknown) => this.#onActorFailure(error),
    };
    this.#takeRecord = (header, body) => takeRecord(header, body, intake);
    duty.start();
  }

  /** HTTP and WebSocket, fed by `adoptSocket`. */
  async openEndpoint(onClosed: (address: string) => void): Promise<void> {
    const { config, version, shard, startedAtMs, shared, secret, isSecretForDevelopment } = this.#start;
    const table = new MetricsTable(shared.metrics);
    const { server } = await openHttpEndpoint({
      ...{ config, version, shard, startedAtMs },
      clock: systemClock,
      correlations: systemMessageIds,
      tokens: this.#tokens,
      callRates: callRates(config),
      topics: this.#topicPort,
      users: this.#userPort,
      presence: this.#presencePort,
      inspection: this.#inspection,
      history: this.#historyPort,
      isStoreUp: () => this.#isStoreUp,
      forgetLogs: () => this.#forgetLogs(),
      metricsPage: createMetricsPage(shared.metrics, config.shards),
      log: this.#world.log,
      isDraining: () => this.#isDraining,
      shardsUp: () => Array.from({ length: config.shards }, (_, peer) => table.row('shardUp', peer)[0] === 1),
      developmentSecret: isSecretForDevelopment ? secret : undefined,
    });
    const { clock, timers, duty: schedule } = this.#world;
    this.#sockets = new SocketIntake({ server, clock, timers, schedule, onClosed });
    this.#openUpgrade(server, this.#sockets);
  }

  adoptSocket(socket: Socket, address: string, verdict: AdmissionVerdict): void {
    this.#sockets?.adopt(socket, address, verdict);
  }

  /** Rings to a peer that is new, or was restarted and knows nothing of this shard. */
  connectPeer(peer: ShardId, memory: LinkMemory): void {
    this.#links.connect(peer, memory);
    if (peer === storePeer) return; // it says hello when it is ready
    this.#topicPort.onHomeUp(peer);
    const { duty } = this.#world;
    duty.requestSlice(new Sliced([...this.#sessions], (session) => session.onHomeUp(peer)));
  }

  /** The peer's thread is gone, with its homes and its sessions. */
  disconnectPeer(peer: ShardId): void {
    this.#links.readToEnd(peer, this.#takeRecord);
    this.#links.disconnect(peer);
    if (peer === storePeer) {
      this.#store.onDown();
      return this.#onStoreHealth(false);
    }
    this.#topics.dropShard(peer);
    this.#users.dropShard(peer);
    this.#topicPort.onHomeDown(peer);
    this.#pending.failAll(peer);
  }

  /** Resolves with the number of sessions there were. */
  async drain(timeoutMs: number): Promise<number> {
    this.#isDraining = true;
    return drainSessions(this.#sessions, timeoutMs, { clock: systemClock, random: systemRandom });
  }

  /** Every shard has drained, and the thread ends: what waits to be kept is written. */
  writeLast(): void {
    this.#links.read(this.#takeRecord, Number.POSITIVE_INFINITY);
    this.#world.marks.writeAll();
    this.#world.keeps.writeAll();
    this.#links.flush();
  }

  /** The thread is about to die: close frames, synchronously. */
  abandon(): void {
    abandonSessions(this.#sessions);
  }

  #openDuty(heartbeats: Heartbeats, metrics: MetricsRow): DutyCycle {
    const { shard, config } = this.#start;
    const gauges = new ShardGauges(metrics, {
      sessionCount: () => this.#sessions.size,
      topicCount: () => this.#topics.size,
      userCount: () => this.#users.size,
      outboxBytes: () => this.#sessions.outboxBytes,
    });
    return new DutyCycle({
      clock: systemClock,
      flushIntervalMs: config.flushIntervalMs,
      readRings: (recordsMax) => this.#links.read(this.#takeRecord, recordsMax),
      flushRings: () => this.#links.flush(),
      hasRingBacklog: () => this.#links.hasBacklog,
      trySleep: () => this.#links.tryArm(),
      onTick: (nowMs) => {
        heartbeats.beat(shard);
        this.#world.timers.turn(nowMs);
        this.#world.windows.expire(nowMs);
        gauges.measure(nowMs);
      },
      onFlush: () => metrics.add('flushes'),
      onFailure: (error) => void this.#onActorFailure(error),
    });
  }

  /** Of all shards: what is at hand may hold what was erased. */
  #forgetLogs(): void {
    const { config, shard } = this.#start;
    this.#world.windows.forget();
    for (let peer = 0; peer < config.shards; peer++) {
      if (peer !== shard) this.#links.send(peer as ShardId, 'logsForget', noCorrelation, []);
    }
  }

  /** What is durable is refused, or taken again: clients are told once of each. */
  #onStoreHealth(isUp: boolean): void {
    if (this.#isStoreUp === isUp) return;
    this.#isStoreUp = isUp;
    for (const session of this.#sessions) if (session.isLive) session.replies.store(isUp);
  }

  #onActorFailure(error: unknown): string {
    const correlation = systemMessageIds.next();
    this.#world.metrics.add('actorFailures');
    this.#world.log.error({ correlation, err: error }, 'an actor threw; what it was given is refused');
    return correlation;
  }

  #openUpgrade(server: HttpServer | HttpsServer, sockets: SocketIntake): void {
    const upgrade = new Upgrade({
      config: this.#start.config,
      metrics: this.#world.metrics,
      tokens: this.#tokens,
      sessions: this.#sessions,
      sessionContext: sessionContext(this.#world, this.#tokens, {
        topics: this.#topicPort,
        users: this.#userPort,
        presence: this.#presencePort,
        history: this.#historyPort,
        isStoreUp: () => this.#isStoreUp,
      }),
      newSessionId: () => systemMessageIds.next() as SessionId,
      verdictOf: (socket) => sockets.verdictOf(socket),
      onUpgraded: (socket) => sockets.onUpgraded(socket),
      isDraining: () => this.#isDraining,
    });
    server.on('upgrade', (request, socket: Duplex, head) => upgrade.onUpgrade(request, socket, head));
  }
}

function callRates({
  rateLimitEnabled,
  rateLimitConnection,
  rateLimitBurst,
}: Config): KeyedBuckets | undefined {
  return rateLimitEnabled ? new KeyedBuckets({ ...rateLimitConnection, burst: rateLimitBurst }) : undefined;
}
