/**
 * A log whose record is the store: learns where it ends, and emits every entry once and in order, whatever was lost.
 * Thread: the home's shard. Owned by durable-log.ts.
 * Entries come as the store's answers, in order as a rule. Where one is missing (a store thread died between a commit and
 * the word of it) the entries between are read from the store: they are committed, so they are there. [REC2]
 */
import type { TimerEntry } from '#kit/timer-wheel.ts';
import { type TopicKey, type TopicName, topicOfKey } from '#proto/names.ts';
import type { StoredMessage } from '../store/history-store.ts';
import type { LogOwner } from './durable-log.ts';
import { HotLog, type LogPublication } from './hot-log.ts';
import type { LogContext, QueryRequest, QueryResult } from './ports.ts';
import { publicationOf } from './replay.ts';

/** Entries of one read. */
const pageMax = 200;
/** A read that failed is tried again after so long, milliseconds. */
const retryMs = 500;
/** Who asks before the end of the log is known; more are told to come back. */
const waitingMax = 10_000;

type OnKnown = (log: HotLog | undefined) => void;

export class StoredLog implements TimerEntry {
  readonly #topic: TopicKey;
  readonly #ctx: LogContext;
  readonly #owner: LogOwner;
  /** Undefined until its end is known. */
  #hot: HotLog | undefined;
  readonly #waiting = new Set<OnKnown>();
  /** Who waits for an entry to be emitted. */
  #reaching: { offset: number; onReached: (isReached: boolean) => void }[] = [];
  #isReading = false;
  /** The youngest entry that was heard of: everything up to it is to be emitted. */
  #heardOf = 0;

  constructor(topic: TopicKey, ctx: LogContext, owner: LogOwner) {
    this.#topic = topic;
    this.#ctx = ctx;
    this.#owner = owner;
  }

  /** Nobody waits, nothing is read, nothing is at hand. */
  get isIdle(): boolean {
    if (this.#reaching.length > 0) return false;
    return this.#waiting.size === 0 && !this.#isReading && (this.#hot === undefined || this.#hot.isCold);
  }

  /**
   * Calls back now, or when the end of the log is known; with undefined when the store could not be asked, or not within
   * `patienceMs` where that is given.
   */
  whenKnown(onKnown: OnKnown, patienceMs?: number): void {
    if (this.#hot !== undefined) return onKnown(this.#hot);
    if (this.#waiting.size >= waitingMax) return onKnown(undefined);
    this.#waiting.add(onKnown);
    if (!this.#isReading) this.#readEnd();
    if (patienceMs === undefined || !this.#waiting.has(onKnown)) return;
    const onDeadline = () => {
      if (this.#waiting.delete(onKnown)) onKnown(undefined);
    };
    this.#ctx.timers.schedule(this.#ctx.clock.monotonicMs() + patienceMs, { onDeadline });
  }

  /**
   * Calls back when it is known anew how far the store reaches, both ways, and the entries up to `offset` that it has are
   * emitted: somebody may have read it, whose word has not come here yet. With false when the store could not be asked.
   */
  refresh(hot: HotLog, offset: number, onFresh: (isFresh: boolean) => void): void {
    const sent = this.#ctx.store.ask('page', this.#endRequest, (page) => {
      if (page === undefined) return onFresh(false);
      hot.onFirstOffset(page.firstOffset);
      const end = Math.min(offset, page.lastOffset);
      if (hot.position >= end) return onFresh(true);
      this.#reaching.push({ offset: end, onReached: onFresh });
      this.#heardOf = Math.max(this.#heardOf, page.lastOffset);
      this.#readGap();
    });
    if (sent !== 'sent') onFresh(false);
  }

  /** Another thread is the store now: the last words of the one before may not have come here. */
  onStoreRestarted(): void {
    if (this.#hot !== undefined) this.refresh(this.#hot, Number.MAX_SAFE_INTEGER, () => {});
  }

  /** An entry was committed. Nothing, where it was heard of before. */
  onStored(publication: LogPublication): void {
    const { offset } = publication;
    this.#hot ??= this.#known(offset - 1, 1);
    if (offset <= this.#hot.position) return;
    this.#heardOf = Math.max(this.#heardOf, offset);
    if (offset > this.#hot.position + 1) return this.#readGap();
    this.#push(this.#hot, publication);
  }

  /** The entry at `offset` is there, whether its own word came here or not. */
  onHeard(offset: number): void {
    this.#heardOf = Math.max(this.#heardOf, offset); // also while the end is asked for, which may have been read before
    if (this.#hot !== undefined) this.#readGap();
  }

  /** Called by the timer wheel: a read that failed. */
  onDeadline(): void {
    this.#isReading = false;
    this.#readGap();
  }

  get #name(): TopicName {
    return topicOfKey(this.#topic);
  }

  get #endRequest(): QueryRequest<'page'> {
    return { topic: this.#topic, view: 'log', limit: 0 };
  }

  #readEnd(): void {
    this.#isReading = true;
    const sent = this.#ctx.store.ask('page', this.#endRequest, (page) => {
      this.#isReading = false;
      this.#onEnd(page);
    });
    if (sent === 'sent') return;
    this.#isReading = false;
    this.#onEnd(undefined);
  }

  /** The word of an entry may have come first: then the end is known by it. */
  #onEnd(page: QueryResult<'page'> | undefined): void {
    if (page !== undefined) {
      this.#hot ??= this.#known(page.lastOffset, page.firstOffset);
      this.#hot.onFirstOffset(page.firstOffset);
    }
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const onKnown of waiting) onKnown(this.#hot);
    if (this.#hot !== undefined) this.#readGap();
    if (waiting.length === 0) this.#owner.onCold(); // who asked has lost patience, and may be gone
  }

  #known(lastOffset: number, firstOffset: number): HotLog {
    const epoch = this.#ctx.store.epoch as string; // it has answered
    const log = { epoch, firstOffset, lastOffset, isStored: true };
    return new HotLog(log, this.#ctx.windows, this.#owner.onCold);
  }

  #push(hot: HotLog, publication: LogPublication): void {
    hot.push(publication, this.#ctx.clock.monotonicMs());
    this.#owner.emit(publication);
    if (this.#reaching.length > 0) this.#settleReaching(({ offset }) => offset <= hot.position, true);
  }

  #readGap(): void {
    const hot = this.#hot as HotLog;
    if (this.#isReading || this.#heardOf <= hot.position) return;
    this.#isReading = true;
    const request = {
      ...{ topic: this.#topic, view: 'log' as const, limit: pageMax },
      ...{ after: hot.position, before: this.#heardOf + 1 },
    };
    const sent = this.#ctx.store.ask('page', request, (page) => this.#onGap(hot, page));
    if (sent !== 'sent') this.#onGap(hot, undefined);
  }

  #onGap(hot: HotLog, page: QueryResult<'page'> | undefined): void {
    if (page === undefined || page.messages.length === 0) {
      this.#settleReaching(() => true, false);
      this.#ctx.timers.schedule(this.#ctx.clock.monotonicMs() + retryMs, this);
      return;
    }
    this.#isReading = false;
    for (const message of page.messages) this.#fill(hot, message);
    this.#readGap();
  }

  #settleReaching(isSettled: (entry: { offset: number }) => boolean, isReached: boolean): void {
    const settled = this.#reaching.filter(isSettled);
    this.#reaching = this.#reaching.filter((entry) => !isSettled(entry));
    for (const { onReached } of settled) onReached(isReached);
  }

  #fill(hot: HotLog, message: StoredMessage): void {
    if (message.offset > hot.position) this.#push(hot, publicationOf(this.#name, message));
  }
}
