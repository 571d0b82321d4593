/**
 * Marks of this shard's logs on their way to the store, the younger of one user standing for the older.
 * Thread: shard; one for all logs. Written in batches, so that a reader who acks every message costs one row a batch.
 * Bounded: past the bound a mark of somebody new is refused. What waits is lost with the thread; the next mark says more.
 */
import type { TimerEntry } from '#kit/timer-wheel.ts';
import type { ReceiptMark } from '../store/history-store.ts';
import type { LogContext } from './ports.ts';

/** How long a mark waits for others, milliseconds. */
const waitMs = 200;
/** Marks of one write. */
const batchMax = 1000;
const waitingMax = 20_000;

export class MarkBuffer implements TimerEntry {
  readonly #ctx: Pick<LogContext, 'clock' | 'timers' | 'store'>;
  /** By topic, user and kind. */
  readonly #waiting = new Map<string, ReceiptMark>();
  /** A write is scheduled, or on its way. */
  #isUnderWay = false;

  constructor(ctx: Pick<LogContext, 'clock' | 'timers' | 'store'>) {
    this.#ctx = ctx;
  }

  add(mark: ReceiptMark): 'taken' | 'full' {
    const name = `${mark.topic}|${mark.user}|${mark.kind}`;
    const known = this.#waiting.get(name);
    if (known === undefined && this.#waiting.size >= waitingMax) return 'full';
    if (known === undefined || known.offset < mark.offset) this.#waiting.set(name, mark);
    this.#schedule();
    return 'taken';
  }

  /** The thread is about to end: all that waits, now. */
  writeAll(): void {
    if (this.#waiting.size === 0) return;
    this.#ctx.store.ask('mark', { marks: [...this.#waiting.values()] }, () => {});
    this.#waiting.clear();
  }

  /** Called by the timer wheel. */
  onDeadline(): void {
    const batch = [...this.#waiting].slice(0, batchMax);
    const marks = batch.map(([, mark]) => mark);
    const sent = this.#ctx.store.ask('mark', { marks }, (result) => {
      // In the meantime a younger one may have come, which waits for the next write.
      if (result !== undefined) for (const [name, mark] of batch) this.#forget(name, mark);
      this.#goOn();
    });
    if (sent !== 'sent') this.#goOn();
  }

  #forget(name: string, mark: ReceiptMark): void {
    if (this.#waiting.get(name) === mark) this.#waiting.delete(name);
  }

  #goOn(): void {
    this.#isUnderWay = false;
    if (this.#waiting.size > 0) this.#schedule();
  }

  /** One write at a time. */
  #schedule(): void {
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    this.#ctx.timers.schedule(this.#ctx.clock.monotonicMs() + waitMs, this);
  }
}
