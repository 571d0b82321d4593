/** A session in a world of one thread: real actor, a clock by hand, ports that record. For unit tests. */

import { TimerWheel } from '#kit/timer-wheel.ts';
import type { SessionId, ShardId, Tenant, UserId } from '#proto/names.ts';
import { PermissionSource } from '../../src/auth/permissions.ts';
import type { Identity } from '../../src/auth/token-claims.ts';
import type { SessionName, SessionTold } from '../../src/presence/session-told.ts';
import type {
  AnswerReceiver,
  AttachingSession,
  PresencePort,
  Requested,
  Runnable,
  SessionContext,
  Transport,
  Writable,
} from '../../src/session/ports.ts';
import { Session } from '../../src/session/session.ts';
import { SubscriberTable } from '../../src/shard/subscriber-table.ts';
import type { StoreQueryName } from '../../src/store/history-store.ts';
import type { Answer, Since } from '../../src/wire/message.ts';
import type { Envelope } from './test-client.ts';

const ok: Requested = { state: 'answered', answer: { ok: true } };
const nobodyElse: Requested = {
  state: 'answered',
  answer: { ok: true, result: { users: [], memberCount: 0, hasMore: false } },
};
/** The answers of a store without a message. */
const nothingStored = {
  page: { messages: [], hasMore: false, firstOffset: 1, lastOffset: 0 },
  find: [],
  search: { messages: [], hasMore: false },
  mark: null,
  receipts: [],
  erase: { messageCount: 0 },
  keep: null,
  kept: null,
  dropSessions: null,
  seen: [],
  stats: { topicCount: 0, messageCount: 0, storeBytes: 0, perDay: [], topTopics: [] },
} satisfies { [Name in StoreQueryName]: unknown };

function isLiveBy(answer: Answer): boolean {
  return answer.ok && (answer.joined?.isLive ?? true);
}

/** A clock that moves when told to. */
export class ManualClock {
  nowMs = 1_000_000;
  wallMs = (): number => 1_700_000_000_000 + this.nowMs;
  monotonicMs = (): number => this.nowMs;
}

/** A connection without a network: what was written, decoded; how it was closed. */
export class RecordedTransport implements Transport {
  readonly written: Uint8Array[][] = [];
  closed: { code: number; reason: string } | undefined;
  isPaused = false;
  pingCount = 0;
  /** What the kernel has not taken. */
  stuckBytes = 0;

  /** The client has sent a close frame. */
  isClosing = false;

  write(frames: Uint8Array | Uint8Array[]): boolean {
    if (!this.isClosing) this.written.push([frames].flat());
    return !this.isClosing;
  }
  bufferedBytes(): number {
    return this.stuckBytes;
  }
  pauseReading(): void {
    this.isPaused = true;
  }
  resumeReading(): void {
    this.isPaused = false;
  }
  ping(): void {
    this.pingCount++;
  }
  close(code: number, reason: string): void {
    this.closed = { code, reason };
  }

  /** JSON envelopes of all frames so far. */
  envelopes(): Envelope[] {
    return this.written.flat().flatMap(splitJsonFrames);
  }
}

/** Sessions, and homes and a store that answer at once, and as nothing there had a log, unless they are replaced. */
export class SessionWorld {
  readonly clock = new ManualClock();
  readonly timers = new TimerWheel(this.clock.nowMs);
  readonly counts = new Map<string, number>();
  readonly failures: unknown[] = [];
  readonly subscribers = new SubscriberTable();
  /** What `topics.publish` does; replace to make it fail. */
  publish: () => Requested = () => ({ state: 'answered', answer: { ok: true, messageId: 'm-1' as never } });
  /** What `topics.subscribe` answers; replace for one that has a log, or answers later. */
  join: (since: Since | undefined, receiver: AnswerReceiver) => Requested = () => ok;
  /** What `topics.amend` and `users.amend` do. */
  amend: () => Requested = () => ok;
  /** What `topics.mark` and `users.mark` do. */
  mark: () => Requested = () => ok;
  /** What `history.ask` does. */
  ask: (name: StoreQueryName, request: object, receiver: AnswerReceiver) => Requested = (name) => ({
    state: 'answered',
    answer: { ok: true, result: nothingStored[name] },
  });
  /** What `users.attach` does. */
  attach: (receiver: AnswerReceiver, since: Since | undefined) => Requested = () => ok;
  /** What `users.resume` does: nothing is there to go on with. */
  resume: (former: SessionName, receiver: AnswerReceiver) => Requested = () => ({
    state: 'answered',
    answer: { ok: false, refusal: { code: 'resume_failed', message: 'there is no such session' } },
  });
  /** How the other users are, and who is in a topic; whoever comes and goes, and who is typing. */
  presence: PresencePort = {
    users: () => ({ state: 'answered', answer: { ok: true, result: [] } }),
    enter: () => {
      this.#add('entered');
      return nobodyElse;
    },
    change: () => {},
    leave: (_topic, _user, _session, isLost) => this.#add(isLost ? 'lost' : 'left'),
    members: () => nobodyElse,
    typingInTopic: () => this.#add('typing in a topic'),
    typingTo: () => this.#add('typing to a user'),
  };
  /** What the homes of users were told of sessions that are there, and of those that lost their connections. */
  readonly told: [SessionId, SessionTold][] = [];
  readonly parked: [SessionId, SessionTold][] = [];
  /** What their homes were told of them with every question. */
  readonly attached: AttachingSession[] = [];
  readonly ready = new Set<Runnable>();
  readonly dirty = new Set<Writable>();
  readonly context: SessionContext;
  #nextSession = 0;
  #nextToken = 0;

  constructor(limits: Partial<SessionContext['limits']> = {}) {
    this.context = this.#makeContext(limits);
  }

  /** A live JSON session of `user`. */
  open(user = 'ann', expiresInMs = 3_600_000): { session: Session; transport: RecordedTransport } {
    const { session, transport } = this.connect();
    session.authenticate(this.identity(user, expiresInMs));
    this.turn();
    return { session, transport };
  }

  /** A session without a token. */
  connect(): { session: Session; transport: RecordedTransport } {
    const transport = new RecordedTransport();
    const session = new Session(`s-${++this.#nextSession}` as SessionId, 'json', transport, this.context);
    return { session, transport };
  }

  identity(user: string, expiresInMs = 3_600_000): Identity {
    return {
      userId: user as UserId,
      tenant: 'default' as Tenant,
      permissions: new PermissionSource({}).of({}),
      expiresAtMs: this.clock.wallMs() + expiresInMs,
    };
  }

  send(session: Session, envelope: object | object[]): void {
    session.onFrame(Buffer.from(JSON.stringify(envelope)));
    this.turn();
  }

  /** Slices until nobody has anything to do, then writes. */
  turn(): void {
    while (this.ready.size > 0) {
      for (const runnable of [...this.ready]) {
        this.ready.delete(runnable);
        if (runnable.runSlice(64)) this.ready.add(runnable);
      }
    }
    for (const outbox of this.dirty) outbox.write();
    this.dirty.clear();
  }

  /** Moves the clock in small steps and fires what is due. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.nowMs += 50;
      this.timers.turn(this.clock.nowMs);
      this.turn();
    }
  }

  count(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  #add(name: string, by = 1): void {
    this.counts.set(name, this.count(name) + by);
  }

  /** By way of the field, which a test may replace. */
  #presence(): PresencePort {
    return {
      users: (...asked) => this.presence.users(...asked),
      enter: (...asked) => this.presence.enter(...asked),
      change: (...told) => this.presence.change(...told),
      leave: (...told) => this.presence.leave(...told),
      members: (...asked) => this.presence.members(...asked),
      typingInTopic: (...told) => this.presence.typingInTopic(...told),
      typingTo: (...told) => this.presence.typingTo(...told),
    };
  }

  #makeContext(limits: Partial<SessionContext['limits']>): SessionContext {
    return {
      clock: this.clock,
      timers: this.timers,
      correlations: { next: () => 'correlation-1' },
      limits: {
        ...{ messageBytesMax: 65_536, subscriptionsMax: 128, outboxBytesMax: 1_048_576 },
        ...{ heartbeatIntervalMs: 30_000, clientTimeoutMs: 60_000, envelopeRate: undefined },
        ...{ awayAfterMs: 300_000, watchedUsersMax: 1000, sessionTtlMs: 120_000 },
        ...limits,
      },
      node: { nodeId: 'test', shard: 0 as ShardId, version: '0' },
      tokens: { verify: (token) => ({ ok: true, identity: this.identity(token) }) },
      topics: {
        subscribe: (topic, lane, subscriber, since, receiver) => {
          const requested = this.join(since, receiver);
          const isLive = requested.state === 'answered' && isLiveBy(requested.answer);
          if (isLive) this.subscribers.open(topic, lane).subscribers.add(subscriber);
          return requested;
        },
        unsubscribe: (topic, lane, subscriber) => {
          this.subscribers.find(topic, lane)?.subscribers.delete(subscriber);
        },
        deliveredUpTo: (topic, lane) => this.subscribers.find(topic, lane)?.deliveredUpTo ?? 0,
        publish: () => this.publish(),
        amend: () => this.amend(),
        mark: () => this.mark(),
      },
      users: {
        homeOf: () => 0 as ShardId,
        attach: (_user, session, since, receiver) => {
          this.attached.push(session);
          return this.attach(receiver, since);
        },
        detach: () => this.#add('detached'),
        tell: (_user, session, told) => void this.told.push([session, told]),
        forget: () => {},
        park: (_user, { id: session }, told) => {
          this.#add('detached');
          this.parked.push([session, told]);
        },
        resume: (_user, _session, former, receiver) => this.resume(former, receiver),
        direct: () => this.publish(),
        amend: () => this.amend(),
        mark: () => this.mark(),
      },
      presence: this.#presence(),
      resumeTokens: { next: () => `token-${++this.#nextToken}`, hashOf: (token) => `hash of ${token}` },
      classOf: (topic) => (topic.startsWith('inbox:') ? 'durable' : 'volatile'),
      isStoreUp: () => true,
      history: { epoch: 'e', ask: (name, request, receiver) => this.ask(name, request, receiver) },
      schedule: {
        requestSlice: (session) => void this.ready.add(session),
        requestWrite: (outbox) => void this.dirty.add(outbox),
      },
      onEnded: () => {},
      counters: {
        opened: () => this.#add('opened'),
        closed: () => this.#add('closed'),
        received: (envelopes) => this.#add('received', envelopes),
        sent: (frames) => this.#add('sent', frames),
        errored: (code) => this.#add(`error ${code}`),
        subscriptions: (change) => this.#add('subscriptions', change),
        mailbox: (change) => this.#add('mailbox', change),
        mailboxFull: (outcome) => this.#add(`mailbox ${outcome}`),
        wrote: () => this.#add('wrote'),
        slowConsumer: () => this.#add('slow'),
        dropped: (delivery, frames) => this.#add(`dropped ${delivery}`, frames),
        failed: () => this.#add('failed'),
      },
      log: {
        failed: (_session, _correlation, error) => void this.failures.push(error),
        opened: () => {},
        closed: () => {},
      },
    };
  }
}

/** The envelopes of joined, unmasked text frames. */
function splitJsonFrames(bytes: Uint8Array): Envelope[] {
  const buffer = Buffer.from(bytes);
  const envelopes: Envelope[] = [];
  for (let at = 0; at < buffer.length; ) {
    const short = buffer[at + 1] as number;
    const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126 ? short : short === 126 ? buffer.readUInt16BE(at + 2) : buffer.readUInt32BE(at + 6);
    envelopes.push(
      JSON.parse(buffer.subarray(at + headerBytes, at + headerBytes + length).toString()) as Envelope,
    );
    at += headerBytes + length;
  }
  return envelopes;
}
