/** Two shards in one thread: real tables, ports, rings and intake; turns by hand, sessions and flushes that record. */

import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '#kit/clock.ts';
import { TimerWheel } from '#kit/timer-wheel.ts';
import type { Encoding } from '#proto/envelope.ts';
import {
  type SessionId,
  type ShardId,
  type Tenant,
  type TopicKey,
  type TopicName,
  topicKey,
  type UserId,
  type UserKey,
  userKey,
} from '#proto/names.ts';
import type { LaneSpec, RecordHeader } from '#proto/record.ts';
import type { FlushTarget } from '../../../src/fanout/ports.ts';
import { ThreadLinks } from '../../../src/links/thread-links.ts';
import { HotWindows } from '../../../src/log/hot-windows.ts';
import { allocateMetrics, MetricsRow } from '../../../src/observe/metrics-table.ts';
import type { BoardContext } from '../../../src/presence/ports.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import { allocateRing } from '../../../src/ring/ring-layout.ts';
import type {
  AnswerReceiver,
  Correlation,
  Requested,
  SchedulePort,
  Subscriber,
} from '../../../src/session/ports.ts';
import { Homes } from '../../../src/shard/homes.ts';
import { LaneHomes } from '../../../src/shard/lane-homes.ts';
import { PendingRequests } from '../../../src/shard/pending-requests.ts';
import { RoutedPresencePort } from '../../../src/shard/presence-port.ts';
import { type IntakeContext, takeRecord } from '../../../src/shard/ring-intake.ts';
import { SessionInspection } from '../../../src/shard/session-inspection.ts';
import { SessionTable } from '../../../src/shard/session-table.ts';
import { StorePort } from '../../../src/shard/store-port.ts';
import { SubscriberTable } from '../../../src/shard/subscriber-table.ts';
import { RoutedTopicPort } from '../../../src/shard/topic-port.ts';
import { TopicTable } from '../../../src/shard/topic-table.ts';
import { RoutedUserPort } from '../../../src/shard/user-port.ts';
import { UserTable } from '../../../src/shard/user-table.ts';
import type { TopicContext } from '../../../src/topic/ports.ts';
import { type Answer, messageToBody, type Since } from '../../../src/wire/message.ts';
import { alone, noStore } from '../../kit/no-store.ts';
import { countingIds } from '../protect/manual-clock.ts';
import { envelopesIn, type ReceivedEnvelope } from '../topic/topic-world.ts';

const tenant = 'default' as Tenant;
const ringBytes = 65_536;
const nobody = 0;

/** What a client would be: answers and envelopes, in order. */
export class Client implements Subscriber, AnswerReceiver {
  readonly answers: Answer[] = [];
  readonly envelopes: ReceivedEnvelope[] = [];

  onAnswer(_correlation: Correlation, answer: Answer): void {
    this.answers.push(answer);
  }

  /** Topics of which it was told that something was lost. */
  readonly lost: TopicName[] = [];

  onLost(topic: TopicName): void {
    this.lost.push(topic);
  }

  deliver(frames: Uint8Array): void {
    this.envelopes.push(...envelopesIn(frames));
  }

  get payloads(): unknown[] {
    return this.envelopes.map(({ data }) => data['payload']);
  }
}

const atOnce: Pick<SchedulePort, 'requestSlice'> = {
  requestSlice(runnable) {
    while (runnable.runSlice(64));
  },
};

/** One shard as shard.ts wires it, without sockets. */
export class TestShard {
  readonly id: ShardId;
  readonly homes: Homes;
  readonly metrics = new MetricsRow(allocateMetrics(1), 0);
  readonly pending = new PendingRequests();
  readonly subscribers = new SubscriberTable();
  readonly links: ThreadLinks;
  readonly topics: TopicTable;
  readonly users: UserTable;
  readonly topicPort: RoutedTopicPort;
  readonly userPort: RoutedUserPort;
  readonly presencePort: RoutedPresencePort;
  readonly timers = new TimerWheel(systemClock.monotonicMs());
  /** What its sessions got directly, by session id. */
  readonly directs = new Map<SessionId, ReceivedEnvelope[]>();
  readonly failures: unknown[] = [];
  readonly #flushes = new Set<FlushTarget>();
  readonly #intake: IntakeContext;

  /** `log`: what topics are given that are not volatile. */
  constructor(id: number, log: Partial<TopicContext> = {}) {
    this.id = id as ShardId;
    this.homes = new Homes(this.id, 2);
    this.links = new ThreadLinks({ self: this.id, clock: systemClock, metrics: this.metrics }, () => {});
    const nothing = () => {};
    const recentKeys = new RecentKeys(systemClock, countingIds(), { accepted: nothing, duplicate: nothing });
    const boards: BoardContext = {
      ...{ clock: systemClock, timers: this.timers, presenceGraceMs: noStore.presenceGraceMs },
      flushes: { requestFlush: (topic) => void this.#flushes.add(topic) },
      subscribers: {
        deliver: (shard, topic, lane, batch) => {
          const { frameCount, frames, delivery, upTo } = batch;
          if (shard === this.id) this.subscribers.deliver(topic, lane, batch);
          else {
            const body = [topic, ...lane, frameCount, frames, delivery, upTo] as const;
            this.links.send(shard, 'topicDeliver', nobody, [...body]);
          }
          return 'sent';
        },
        tellLost: nothing,
      },
    };
    this.topics = new TopicTable({
      ...{ ...noStore, ...boards, ...log },
      recentKeys,
      counters: { dropped: nothing, expired: nothing, waiting: nothing },
    });
    this.users = new UserTable({
      ...{ ...noStore, ...alone, ...boards },
      ...{ self: this.id, recentKeys, sessionsMax: 10 },
      homeOf: (user) => this.homes.of(user),
      sessions: {
        deliver: (shard, ids, inboxOffset = 0, frame, delivery) => {
          if (shard === this.id) this.#deliverDirectly(ids, frame);
          else this.links.send(shard, 'sessionDeliver', nobody, [ids, inboxOffset, 1, frame, delivery]);
          return 'sent';
        },
        hide: nothing,
        replace: nothing,
        tellLost: nothing,
        tellReceipt: nothing,
        copyToSender: (sender, { to, message, messageId, except }) => {
          const body = [sender, to, except ?? null, messageId, ...messageToBody(message)] as const;
          this.links.send(this.homes.of(sender), 'userCopy', nobody, [...body]);
        },
      },
    });
    const route = { homes: this.homes, links: this.links, pending: this.pending };
    const laneHomes = new LaneHomes(this.topics, this.users);
    this.topicPort = new RoutedTopicPort({
      ...{ ...route, laneHomes },
      topics: this.topics,
      subscribers: this.subscribers,
      classOf: log.classOf ?? noStore.classOf,
      schedule: atOnce,
    });
    this.userPort = new RoutedUserPort({ ...route, users: this.users });
    this.presencePort = new RoutedPresencePort({ ...route, topics: this.topics, users: this.users });
    const sessions = new SessionTable();
    sessions.deliver = (ids, _inboxOffset, { frames }) => this.#deliverDirectly(ids, frames);
    this.#intake = {
      ...{ links: this.links, pending: this.pending, topics: this.topics, users: this.users },
      ...{ subscribers: this.subscribers, sessions, store: new StorePort(this.links) },
      ...{ topicPort: this.topicPort, laneHomes },
      inspection: new SessionInspection({
        ...{ self: this.id, shardCount: 2, clock: systemClock, sessions, users: this.users },
        ...{ links: this.links, pending: this.pending },
      }),
      windows: new HotWindows(),
      onStoreHealth: nothing,
      onFailure: (error) => {
        this.failures.push(error);
        return 'c1';
      },
    };
  }

  subscribe(topic: TopicKey, lane: LaneSpec, client: Client, since?: Since): Requested {
    return this.topicPort.subscribe(topic, lane, client, since, client);
  }

  attach(user: UserKey, id: SessionId, encoding: Encoding): void {
    this.userPort.attach(user, { id, encoding, tokenHash: `hash of ${id}` }, undefined, new Client());
  }

  take = (header: RecordHeader, body: Uint8Array): void => takeRecord(header, body, this.#intake);

  /** Reads, flushes topics, writes: what the duty cycle does in one turn. */
  turn(): void {
    this.links.read(this.take, 1000);
    for (const topic of [...this.#flushes]) topic.flush();
    this.#flushes.clear();
    this.links.flush();
  }

  /** As Shard.disconnectPeer does when the peer's thread is gone. */
  losePeer(peer: TestShard): void {
    this.links.readToEnd(peer.id, this.take);
    this.links.disconnect(peer.id);
    this.topics.dropShard(peer.id);
    this.users.dropShard(peer.id);
    this.topicPort.onHomeDown(peer.id);
    this.pending.failAll(peer.id);
  }

  #deliverDirectly(ids: readonly SessionId[], frames: Uint8Array): void {
    for (const id of ids) this.directs.set(id, [...(this.directs.get(id) ?? []), ...envelopesIn(frames)]);
  }
}

/** Two linked shards. Close it: the doorbells would keep the process. */
export class ShardPair {
  readonly here: TestShard;
  there: TestShard;
  readonly #log: Partial<TopicContext>;

  /** `log`: of topics that are not volatile, in both. */
  constructor(log: Partial<TopicContext> = {}) {
    this.#log = log;
    this.here = new TestShard(0, log);
    this.there = new TestShard(1, log);
    this.#link();
  }

  /** Both shards, until what was said has been heard and answered. */
  settle(): void {
    for (let round = 0; round < 6; round++) {
      this.there.turn();
      this.here.turn();
    }
  }

  /** The thread of shard 1 ended; what it wrote is still in the ring. */
  killThere(): void {
    this.here.losePeer(this.there);
    this.there.links.disconnect(this.here.id);
  }

  /** A new thread of shard 1 that knows nothing, and new rings. */
  restartThere(): void {
    this.there = new TestShard(1, this.#log);
    this.#link();
    this.here.topicPort.onHomeUp(this.there.id);
  }

  close(): void {
    this.here.links.disconnect(this.there.id);
    this.there.links.disconnect(this.here.id);
  }

  #link(): void {
    const [out, back] = [allocateRing(ringBytes, 1), allocateRing(ringBytes, 1)];
    const { port1, port2 } = new MessageChannel();
    this.here.links.connect(this.there.id, { outbound: out, inbound: back, doorbell: port1 });
    this.there.links.connect(this.here.id, { outbound: back, inbound: out, doorbell: port2 });
  }
}

/** A topic whose home is `shard` of two. */
export function topicAt(shard: number, form: (index: number) => string = (index) => `t:${index}`): TopicKey {
  const homes = new Homes(0 as ShardId, 2);
  for (let index = 0; ; index++) {
    const key = topicKey(tenant, form(index) as TopicName);
    if (homes.of(key) === shard) return key;
  }
}

export function userAt(shard: number, form: (index: number) => string = (index) => `user-${index}`): UserKey {
  const homes = new Homes(0 as ShardId, 2);
  for (let index = 0; ; index++) {
    const key = userKey(tenant, form(index) as UserId);
    if (homes.of(key) === shard) return key;
  }
}
