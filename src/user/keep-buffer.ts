/**
 * What the homes of a shard want kept of their users over a restart, on its way to the store.
 * Thread: shard; one for all users. Written in batches, a moment late: what changes often is written once.
 * Bounded: past the bound what is new is not kept, and cannot be resumed after a restart of the process.
 */
import type { TimerEntry } from '#kit/timer-wheel.ts';
import type { SessionId, UserKey } from '#proto/names.ts';
import type { LogContext } from '../log/ports.ts';
import { type GoneDevice, mergedDevices, type Past } from '../presence/device-presence.ts';
import type { KeptSession, SeenUser } from '../store/history-store.ts';
import { packObject, unpackObject } from '../wire/codec.ts';

/** How long something waits for others, milliseconds: a home that dies meanwhile takes it along. And how long behind a full batch: the store has others to serve. */
const waitMs = 200;
const pauseMs = 50;
/** Sessions, ends and users of one write. */
const batchMax = 500;
const waitingMax = 50_000;

/** Who knows how a session is at the moment of writing. */
export interface KeepSource {
  /** Undefined: it is over, and nothing need be kept. */
  keptOf(session: SessionId): KeptSession | undefined;
}

interface SeenPast {
  lastSeenMs: number;
  devices: readonly GoneDevice[];
}

export class KeepBuffer implements TimerEntry {
  readonly #ctx: Pick<LogContext, 'clock' | 'timers' | 'store'>;
  readonly #waiting = new Map<SessionId, KeepSource>();
  readonly #ended = new Set<SessionId>();
  readonly #seen = new Map<UserKey, SeenPast>();
  #isUnderWay = false;
  /** On its way to the store. */
  #batch: Batch | undefined;

  constructor(ctx: Pick<LogContext, 'clock' | 'timers' | 'store'>) {
    this.#ctx = ctx;
  }

  /** It is new, or in another way than was written. */
  keep(session: SessionId, source: KeepSource): void {
    if (this.#waiting.has(session) || this.#waiting.size >= waitingMax) return;
    this.#waiting.set(session, source);
    this.#schedule();
  }

  end(session: SessionId): void {
    this.#waiting.delete(session);
    if (this.#ended.size >= waitingMax) return;
    this.#ended.add(session);
    this.#schedule();
  }

  /** It is over, whatever the store still says. */
  hasEnded(session: SessionId): boolean {
    return this.#ended.has(session) || this.#batch?.ended.includes(session) === true;
  }

  /** The last device of a user left. */
  seen(user: UserKey, past: SeenPast): void {
    if (this.#seen.size >= waitingMax && !this.#seen.has(user)) return;
    this.#seen.set(user, past);
    this.#schedule();
  }

  /** Of a user who left a moment ago, and of whom the store may not know yet. */
  pastOf(user: UserKey): Past | undefined {
    return this.#seen.get(user) ?? this.#batch?.seen.find(([known]) => known === user)?.[1];
  }

  /** The thread is about to end: all that waits, now. */
  writeAll(): void {
    if (this.#batch !== undefined) this.#putBack(this.#batch);
    while (this.#waiting.size + this.#ended.size + this.#seen.size > 0) {
      const batch = this.#take();
      const seen = batch.seen.map(([user, past]) => seenRow(user, past));
      this.#ctx.store.ask('keep', { ...batch, seen }, () => {});
    }
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    const batch = this.#take();
    this.#batch = batch;
    if (batch.seen.length === 0) return this.#write(batch, []);
    // What is known of a user's other devices stays known.
    const users = batch.seen.map(([user]) => user);
    const sent = this.#ctx.store.ask('seen', { users }, (known) => this.#write(batch, known));
    if (sent !== 'sent') this.#write(batch, undefined);
  }

  #write(batch: Batch, known: SeenUser[] | undefined): void {
    if (known === undefined) return this.#putBack(batch);
    const before = new Map(known.map((row) => [row.user, pastOf(row).devices]));
    const seen = batch.seen.map(([user, { lastSeenMs, devices }]) =>
      seenRow(user, { lastSeenMs, devices: mergedDevices(devices, before.get(user) ?? []) }),
    );
    const request = { sessions: batch.sessions, ended: batch.ended, seen };
    const sent = this.#ctx.store.ask('keep', request, (result) => {
      if (result === undefined) this.#putBack(batch);
      else this.#goOn();
    });
    if (sent !== 'sent') this.#putBack(batch);
  }

  #take(): Batch {
    const waiting = [...this.#waiting].slice(0, batchMax);
    const ended = [...this.#ended].slice(0, batchMax);
    const seen = [...this.#seen].slice(0, batchMax);
    for (const [session] of waiting) this.#waiting.delete(session);
    for (const session of ended) this.#ended.delete(session);
    for (const [user] of seen) this.#seen.delete(user);
    const sessions = waiting.flatMap(([session, source]) => source.keptOf(session) ?? []);
    const isFull = Math.max(waiting.length, ended.length, seen.length) === batchMax;
    return { waiting, sessions, ended, seen, isFull };
  }

  /** The store could not: what is not outdated meanwhile is tried again. */
  #putBack({ waiting, ended, seen }: Batch): void {
    if (this.#batch !== undefined) this.#batch.isFull = false; // who cannot is not asked in haste
    for (const [session, source] of waiting) {
      if (!this.#ended.has(session)) this.#waiting.set(session, source);
    }
    for (const session of ended) this.#ended.add(session);
    for (const [user, past] of seen) if (!this.#seen.has(user)) this.#seen.set(user, past);
    this.#goOn();
  }

  #goOn(): void {
    const wasFull = this.#batch?.isFull === true;
    this.#batch = undefined;
    this.#isUnderWay = false;
    if (this.#waiting.size + this.#ended.size + this.#seen.size > 0)
      this.#schedule(wasFull ? pauseMs : waitMs);
  }

  /** One write at a time. */
  #schedule(afterMs = waitMs): void {
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    this.#ctx.timers.schedule(this.#ctx.clock.monotonicMs() + afterMs, this);
  }
}

interface Batch {
  waiting: [SessionId, KeepSource][];
  sessions: KeptSession[];
  ended: SessionId[];
  seen: [UserKey, SeenPast][];
  /** More was waiting. */
  isFull: boolean;
}

function seenRow(user: UserKey, { lastSeenMs, devices }: SeenPast): SeenUser {
  return { user, lastSeenMs, devices: packObject(devices) };
}

/** What the store knows of a user who is not there. */
export function pastOf({ lastSeenMs, devices }: SeenUser): Past {
  return { lastSeenMs, devices: unpackObject(devices) as GoneDevice[] };
}
