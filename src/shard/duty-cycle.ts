/**
 * The loop of a shard: read rings, run sessions, flush topics, write outboxes, ring doorbells.
 * Thread: shard. A turn runs at the end of the event loop turn in which something happened, and every tick.
 * Topics wait for company up to the flush interval, but only while the shard is busy writing: an idle shard answers in
 * the same turn. Outboxes are written in every turn: one write per connection, whatever it got. [FAN2]
 */
import type { Clock } from '#kit/clock.ts';
import type { FlushPort, FlushTarget, FlushWait } from '../fanout/ports.ts';
import type { Row, Runnable, SchedulePort, Writable } from '../session/ports.ts';

/** Records read from each ring, and envelopes handled of each session, before others get their turn. */
const recordsPerSliceMax = 64;
const envelopesPerSliceMax = 64;
/** Rings, and sessions, that wait for more after so long get the next turn: what there is for others must leave. Milliseconds. */
const slicesMs = 5;
/** Those who subscribe get so long in a turn: thousands who do are a part of each turn, and not one long one. Milliseconds. */
const joiningMs = 1;
/**
 * What is deferred gets so long in a turn, and a busy shard has such a turn only this often: a fifth of its time, about.
 * Without it 5,000 who lost their connections, and all came back, stopped a shard for a second. Milliseconds.
 */
const deferredMs = 1;
const deferredEveryMs = 5;
/** Longest wait of a `low` publication, milliseconds (architecture, section 2). */
const lazyWaitMs = 100;
/** A safety net below every doorbell, and the beat of timers. Milliseconds. */
const tickMs = 25;
/** A full ring is tried again after this long, milliseconds: the reader needs time, not a spinning writer. */
const backlogRetryMs = 1;
/** Busy is more than this many socket writes within the last tenth of a second or so: about a tenth of a core. */
const busyWrites = 1500;
const busyMemoryMs = 100;

export interface DutyContext {
  clock: Clock;
  flushIntervalMs: number;
  /** Reads rings; true when there may be more. */
  readRings(recordsMax: number): boolean;
  flushRings(): void;
  /** Records wait for room in a ring: nobody will ring when there is some. */
  hasRingBacklog(): boolean;
  /** True when nothing is left to read and the doorbells will wake this shard. */
  trySleep(): boolean;
  /** Timers, heartbeat: every tick. */
  onTick(nowMs: number): void;
  onFlush(): void;
  /** An actor threw: each one is a bug. */
  onFailure(error: unknown): void;
}

export class DutyCycle implements SchedulePort, FlushPort {
  readonly #ctx: DutyContext;
  /** In their order, and each row behind the one before it. Bounded by the number of connections. */
  readonly #rows: Record<Row, Set<Runnable>> = { ready: new Set(), joining: new Set(), deferred: new Set() };
  #deferredAtMs = Number.NEGATIVE_INFINITY;
  #outboxes: Writable[] = [];
  #due: Record<FlushWait, Set<FlushTarget>> = { now: new Set(), window: new Set(), lazy: new Set() };
  #isTurnScheduled = false;
  /** Of the next turn that must come also when nothing wakes the shard. */
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = 0;
  #lastFlushMs = Number.NEGATIVE_INFINITY;
  #lazySinceMs = 0;
  /** Since the last look. */
  #newWrites = 0;
  /** Socket writes, forgotten exponentially, as of `#writesAtMs`. */
  #recentWrites = 0;
  #writesAtMs = 0;
  #ticker: NodeJS.Timeout | undefined;

  constructor(ctx: DutyContext) {
    this.#ctx = ctx;
  }

  start(): void {
    this.#ticker = setInterval(() => {
      this.#ctx.onTick(this.#ctx.clock.monotonicMs());
      this.#turn();
    }, tickMs);
  }

  stop(): void {
    clearInterval(this.#ticker);
    clearTimeout(this.#timer);
  }

  /** A turn, at the end of this turn of the event loop. Idempotent. */
  wake = (): void => {
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    setImmediate(() => {
      this.#isTurnScheduled = false;
      this.#turn();
    });
  };

  requestSlice(session: Runnable): void {
    this.#rows[session.row].add(session);
    this.wake();
  }

  requestWrite(outbox: Writable): void {
    this.#outboxes.push(outbox);
    this.wake();
  }

  /** A connection's frames went to its socket: at the end of a turn, or early because they were many. */
  onWrite(): void {
    this.#newWrites++;
  }

  requestFlush(topic: FlushTarget, wait: FlushWait): void {
    if (wait === 'lazy' && this.#due.lazy.size === 0) this.#lazySinceMs = this.#ctx.clock.monotonicMs();
    this.#due[wait].add(topic);
    this.wake();
  }

  #turn(): void {
    const hasMoreRecords = this.#readRings();
    const { ready, joining } = this.#rows;
    this.#runSlices(ready, slicesMs);
    this.#runSlices(joining, joiningMs);
    this.#runDeferred();
    this.#flushTopics();
    this.#writeOutboxes();
    this.#ctx.flushRings();
    if (this.#ctx.hasRingBacklog()) this.#wakeAfter(backlogRetryMs);
    if (hasMoreRecords || ready.size + joining.size > 0 || !this.#ctx.trySleep()) this.wake();
  }

  /** True when there may be more. */
  #readRings(): boolean {
    const endMs = this.#ctx.clock.monotonicMs() + slicesMs;
    while (this.#ctx.readRings(recordsPerSliceMax)) {
      if (this.#ctx.clock.monotonicMs() > endMs) return true;
    }
    return false;
  }

  /** One slice each, in their order, until `milliseconds` are over. */
  #runSlices(sessions: Set<Runnable>, milliseconds: number): void {
    let left = sessions.size;
    if (left === 0) return;
    const endMs = this.#ctx.clock.monotonicMs() + milliseconds;
    for (const session of sessions) {
      if (left-- === 0 || this.#ctx.clock.monotonicMs() > endMs) return;
      sessions.delete(session);
      if (session.runSlice(envelopesPerSliceMax)) this.requestSlice(session);
    }
  }

  #runDeferred(): void {
    const { deferred } = this.#rows;
    if (deferred.size === 0) return;
    const nowMs = this.#ctx.clock.monotonicMs();
    const waitMs = this.#isBusy(nowMs) ? this.#deferredAtMs + deferredEveryMs - nowMs : 0;
    if (waitMs > 0) return this.#wakeAfter(waitMs);
    this.#runSlices(deferred, deferredMs);
    this.#deferredAtMs = this.#ctx.clock.monotonicMs();
    if (deferred.size > 0) this.wake();
  }

  #flushTopics(): void {
    const nowMs = this.#ctx.clock.monotonicMs();
    if (this.#newWrites > 0) this.#rememberWrites(nowMs);
    this.#flushAll('now');
    if (this.#due.lazy.size > 0 && nowMs - this.#lazySinceMs >= lazyWaitMs) this.#flushAll('lazy');
    if (this.#due.window.size === 0) return;
    const waitMs = this.#isBusy(nowMs) ? this.#lastFlushMs + this.#ctx.flushIntervalMs - nowMs : 0;
    if (waitMs > 0) return this.#wakeAfter(waitMs);
    this.#lastFlushMs = nowMs;
    this.#flushAll('window');
  }

  #flushAll(wait: FlushWait): void {
    const topics = this.#due[wait];
    if (topics.size === 0) return;
    this.#due[wait] = new Set();
    for (const topic of topics) {
      try {
        topic.flush();
      } catch (error) {
        this.#ctx.onFailure(error); // what this topic had waiting is lost; the others are not
      }
    }
  }

  #isBusy(nowMs: number): boolean {
    return this.#writesRemembered(nowMs) > busyWrites;
  }

  /** A turn after `waitMs`, or earlier where one is due earlier. */
  #wakeAfter(waitMs: number): void {
    const atMs = this.#ctx.clock.monotonicMs() + waitMs;
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#turn();
    }, waitMs);
  }

  #writeOutboxes(): void {
    if (this.#outboxes.length === 0) return;
    const outboxes = this.#outboxes;
    this.#outboxes = [];
    for (const outbox of outboxes) outbox.write();
    this.#ctx.onFlush();
  }

  #rememberWrites(nowMs: number): void {
    this.#recentWrites = this.#writesRemembered(nowMs) + this.#newWrites;
    this.#newWrites = 0;
    this.#writesAtMs = nowMs;
  }

  #writesRemembered(nowMs: number): number {
    return this.#recentWrites * Math.exp((this.#writesAtMs - nowMs) / busyMemoryMs);
  }
}
