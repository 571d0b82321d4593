/**
 * A shard without threads and sockets: one session on real topics, users, tokens and counters, a store in memory with a
 * few messages in it, and a connection that keeps what is written to it. Time stands still until `advance`.
 */
import { seededRandom } from '#kit/random.ts';
import { TimerWheel } from '#kit/timer-wheel.ts';
import type { Encoding } from '#proto/envelope.ts';
import {
  type MessageId,
  type SessionId,
  type ShardId,
  type Tenant,
  type TopicName,
  topicKey,
  type UserId,
  userKey,
} from '#proto/names.ts';
import { openKeySet } from '../../src/auth/key-set.ts';
import { systemResumeTokens } from '../../src/auth/resume-tokens.ts';
import { createTokenVerifier } from '../../src/auth/verify-token.ts';
import type { FlushTarget } from '../../src/fanout/ports.ts';
import { ThreadLinks } from '../../src/links/thread-links.ts';
import { HotWindows } from '../../src/log/hot-windows.ts';
import { MarkBuffer } from '../../src/log/mark-buffer.ts';
import type { AppendRequest, LogContext } from '../../src/log/ports.ts';
import { allocateMetrics, MetricsRow } from '../../src/observe/metrics-table.ts';
import type { BoardContext } from '../../src/presence/ports.ts';
import { RecentKeys } from '../../src/protect/recent-keys.ts';
import { topicClassOf } from '../../src/routing/topic-class.ts';
import type { Runnable, SessionContext, Transport, Writable } from '../../src/session/ports.ts';
import { Session } from '../../src/session/session.ts';
import { StoredHistoryPort } from '../../src/shard/history-port.ts';
import { Homes } from '../../src/shard/homes.ts';
import { LaneHomes } from '../../src/shard/lane-homes.ts';
import { PendingRequests } from '../../src/shard/pending-requests.ts';
import { RoutedPresencePort } from '../../src/shard/presence-port.ts';
import { SessionTable } from '../../src/shard/session-table.ts';
import {
  acceptanceCounters,
  sessionCounters,
  topicCounters,
  userCounters,
} from '../../src/shard/shard-counters.ts';
import { SubscriberTable } from '../../src/shard/subscriber-table.ts';
import { RoutedTopicPort } from '../../src/shard/topic-port.ts';
import { TopicTable } from '../../src/shard/topic-table.ts';
import { RoutedUserPort } from '../../src/shard/user-port.ts';
import { UserTable } from '../../src/shard/user-table.ts';
import { KeepBuffer } from '../../src/user/keep-buffer.ts';
import { Payload } from '../../src/wire/payload.ts';
import { MemoryLogStore } from '../kit/memory-log-store.ts';
import { testSecret } from '../kit/test-server.ts';
import { lostSession, storedIds } from './corpus.ts';

const self = 0 as ShardId;
const keySettings = {
  jwtPublicKey: undefined,
  jwtJwksUrl: undefined,
  jwtAlgorithms: undefined,
  jwtIssuer: undefined,
  jwtAudience: undefined,
};
/** One for all worlds: it has no state but its cache. */
const tokens = createTokenVerifier(openKeySet(keySettings, testSecret), {});

export interface Closed {
  code: number;
  reason: string;
}

export class SessionWorld {
  readonly session: Session;
  readonly metrics = new MetricsRow(allocateMetrics(1), 0);
  /** Errors that handlers threw: each one is a bug. */
  readonly failures: unknown[] = [];
  closed: Closed | undefined;
  #nowMs = 1000;
  /** Written since the last `takeWritten`: complete WebSocket frames, one or more in a piece. */
  #written: Uint8Array[] = [];
  readonly #runnables = new Set<Runnable>();
  readonly #outboxes = new Set<Writable>();
  readonly #flushes = new Set<FlushTarget>();
  readonly #timers: TimerWheel;
  readonly #store = new MemoryLogStore();

  /** `token`: as in the handshake; without one the session waits for `Auth`. */
  constructor(encoding: Encoding, token: string | undefined, seed: number) {
    this.#timers = new TimerWheel(this.#nowMs);
    for (const messageId of storedIds) this.#store.commit(lobbyMessage(messageId));
    const sessions = new SessionTable();
    this.session = new Session(
      `s-${seed}` as SessionId,
      encoding,
      this.#transport(),
      this.#context(sessions, seed),
    );
    sessions.add(this.session);
    const verdict = token === undefined ? undefined : tokens.verify(token);
    if (verdict?.ok) this.session.authenticate(verdict.identity);
    this.turn();
  }

  /** One frame of the client, and all that follows from it. */
  receive(frame: Uint8Array): void {
    this.session.onFrame(frame);
    this.turn();
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    this.#timers.turn(this.#nowMs);
    this.turn();
  }

  /** What the duty cycle does, until nothing is left to do. */
  turn(): void {
    while (this.#runnables.size + this.#outboxes.size + this.#flushes.size + this.#store.waitingCount > 0) {
      for (const runnable of take(this.#runnables)) if (runnable.runSlice(32)) this.#runnables.add(runnable);
      this.#store.settle();
      for (const topic of take(this.#flushes)) topic.flush();
      for (const outbox of take(this.#outboxes)) outbox.write();
    }
  }

  takeWritten(): Buffer {
    const written = Buffer.concat(this.#written);
    this.#written = [];
    return written;
  }

  #transport(): Transport {
    return {
      write: (frames) => this.#written.push(...[frames].flat()) > 0,
      bufferedBytes: () => 0,
      pauseReading: () => {},
      resumeReading: () => {},
      ping: () => {},
      close: (code, reason) => {
        this.closed = { code, reason };
        this.session.onTransportClosed(code);
      },
    };
  }

  #context(sessions: SessionTable, seed: number): SessionContext {
    const { metrics } = this;
    const clock = {
      wallMs: () => 1_767_225_600_000 + Math.floor(this.#nowMs),
      monotonicMs: () => this.#nowMs,
    };
    const random = seededRandom(seed);
    const messageIds = { next: () => uuidOf(Math.floor(random.next() * 2 ** 32)) };
    const recentKeys = new RecentKeys(clock, messageIds, acceptanceCounters(metrics));
    const homes = new Homes(self, 1);
    const links = new ThreadLinks({ self, clock, metrics }, () => {});
    const subscribers = new SubscriberTable();
    const log: LogContext = {
      ...{ clock, messageIds, timers: this.#timers, store: this.#store, windows: new HotWindows() },
      acceptance: acceptanceCounters(metrics),
      marks: new MarkBuffer({ clock, timers: this.#timers, store: this.#store }),
    };
    const classOf = (topic: TopicName) => topicClassOf([], topic);
    const boards: BoardContext = {
      ...{ clock, timers: this.#timers, presenceGraceMs: 3_000 },
      flushes: { requestFlush: (topic) => void this.#flushes.add(topic) },
      subscribers: {
        deliver: (_to, topic, lane, batch) => {
          subscribers.deliver(topic, lane, batch);
          return 'sent';
        },
        tellLost: () => {},
      },
    };
    const actors = { ...log, ...boards, recentKeys, classOf };
    const topics = new TopicTable({ ...actors, counters: topicCounters(metrics) });
    const users: UserTable = new UserTable({
      ...actors,
      ...{ self, sessionsMax: 10, sessionTtlMs: 120_000 },
      counters: userCounters(metrics),
      isKept: () => true,
      keeps: new KeepBuffer({ clock, timers: this.#timers, store: this.#store }),
      homeOf: () => self,
      sessions: {
        deliver: (_to, ids, inboxOffset = 0, frames, delivery) => {
          sessions.deliver(ids, inboxOffset, { frameCount: 1, frames, delivery });
          return 'sent';
        },
        hide: (_shard, ids, isHidden) => sessions.hide(ids, isHidden),
        replace: (_shard, id) => sessions.get(id)?.close('replaced'),
        tellLost: () => {},
        tellReceipt: (user, { by, kind, offset }) => users.deliverReceipt(user, by, kind, offset),
        copyToSender: (sender, copy) => users.deliverCopy(sender, copy),
      },
    });
    this.#store.onCopied = ({ topic, except }, message) => users.onCopied(topic, message, except);
    const pending = new PendingRequests();
    const schedule: SessionContext['schedule'] = {
      requestSlice: (session) => void this.#runnables.add(session),
      requestWrite: (outbox) => void this.#outboxes.add(outbox),
    };
    const route = { homes, links, pending };
    const laneHomes = new LaneHomes(topics, users);
    loseSession(users);
    return {
      clock,
      correlations: messageIds,
      timers: this.#timers,
      limits: {
        messageBytesMax: 65_536,
        subscriptionsMax: 32,
        outboxBytesMax: 4 * 1024 * 1024,
        heartbeatIntervalMs: 30_000,
        clientTimeoutMs: 60_000,
        ...{ awayAfterMs: 300_000, watchedUsersMax: 100, sessionTtlMs: 120_000 },
        envelopeRate: undefined,
      },
      node: { nodeId: 'fuzz', shard: self, version: '0.0.0' },
      tokens,
      topics: new RoutedTopicPort({ ...route, schedule, classOf, topics, laneHomes, subscribers }),
      users: new RoutedUserPort({ ...route, users }),
      presence: new RoutedPresencePort({ ...route, topics, users }),
      resumeTokens: { next: () => `token-${seed}`, hashOf: systemResumeTokens.hashOf },
      classOf,
      isStoreUp: () => true,
      history: new StoredHistoryPort(this.#store, pending),
      schedule,
      onEnded: () => {},
      counters: sessionCounters(metrics, () => {}),
      log: {
        failed: (_session, _correlation, error) => void this.failures.push(error),
        opened: () => {},
        closed: () => {},
      },
    };
  }
}

/** One that the fuzzed session may go on with: with subscriptions, as a member, and as one who follows others. */
function loseSession(users: UserTable): void {
  const { user, session, resumeToken, told } = lostSession;
  const tokenHash = systemResumeTokens.hashOf(resumeToken);
  const key = userKey('default' as Tenant, user);
  users.attach(key, { session, shard: self, encoding: 'json', tokenHash }, undefined, () => {});
  users.park(key, session, told, tokenHash);
}

/** What the store has at first, in `chat:lobby` and by the fuzzed user: messages to edit, to delete and to ask about. */
function lobbyMessage(messageId: MessageId): AppendRequest {
  return {
    ...{ kind: 'message', topic: topicKey('default' as Tenant, 'chat:lobby' as TopicName), messageId },
    ...{
      from: 'ann' as UserId,
      payload: Payload.ofValue({ text: 'hi' }).msgpack,
      timestampMs: 1_767_225_600_000,
    },
    ...{ target: undefined, mayAmendAny: false, peer: undefined, copy: undefined, key: undefined, digest: 0 },
    ...{ event: undefined, priority: undefined },
  };
}

function uuidOf(number: number): string {
  return `00000000-0000-7000-8000-0000${number.toString(16).padStart(8, '0')}`;
}

/** All entries; the set is empty afterwards, so that what they ask for waits for the next round. */
function take<Entry>(set: Set<Entry>): Entry[] {
  const entries = [...set];
  set.clear();
  return entries;
}
