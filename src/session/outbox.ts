/**
 * Byte-bounded queue in front of one connection.
 * Thread: shard. Filled by replies and by the lanes of topics, written once per turn by the duty cycle.
 * Never blocks and never drops silently: past `bytesMax` it answers 'slow' and the session decides. [SES3]
 * Bytes and not messages: one image of 60 kB hurts more than five hundred cursors.
 */
import type { TimerEntry } from '#kit/timer-wheel.ts';
import type { DeliveryClass } from '#proto/record.ts';
import type { SessionContext, Transport, Writable } from './ports.ts';

/**
 * So much is written without waiting for the end of the turn: what the kernel takes at once must not count against a
 * client that reads well, however large the burst of one turn is.
 */
const earlyWriteBytes = 64 * 1024;

/** With so much of its bytes on their way, what may be dropped is. */
const lossyShare = 1 / 4;
/** So much is held back at most: less than what resumptions and recoveries wait for to be taken (resumption.ts). */
const heldShare = 1 / 5;

export interface OutboxLimits {
  bytesMax: number;
  batchMs: number;
}

export type OutboxContext = Pick<SessionContext, 'schedule' | 'counters' | 'clock' | 'timers'>;

export class Outbox implements Writable, TimerEntry {
  readonly #transport: Transport;
  readonly #ctx: OutboxContext;
  readonly #bytesMax: number;
  /**
   * Complete frames, shared with other outboxes: references, not copies. Most turns bring one buffer, for which there is no
   * list: an empty array that grows costs 170 bytes of garbage a write.
   */
  #waiting: Uint8Array | Uint8Array[] | undefined;
  #queuedBytes = 0;
  #frameCount = 0;
  /** The duty cycle has it on its list of this turn. */
  #isWriteRequested = false;
  /** Held: what comes waits for something that must go before it. Stopped: for nothing, the connection is gone. */
  #flow: 'free' | 'held' | 'stopped' = 'free';
  /** Of a client that asked for it: so long frames wait for others, milliseconds. */
  readonly #batchMs: number;
  /** Its wait has begun. */
  #isBatching = false;

  constructor(transport: Transport, { bytesMax, batchMs }: OutboxLimits, ctx: OutboxContext) {
    this.#transport = transport;
    this.#bytesMax = bytesMax;
    this.#batchMs = batchMs;
    this.#ctx = ctx;
  }

  /** Bytes on their way to this client: here and in the socket. */
  get pendingBytes(): number {
    return this.#queuedBytes + this.#transport.bufferedBytes();
  }

  /** 'dropped': it may be, and the client does not keep up [SES6], or it is gone. */
  push(frames: Uint8Array, frameCount: number, delivery: DeliveryClass): 'queued' | 'dropped' | 'slow' {
    if (this.isStopped) {
      this.#queuedBytes += frames.length;
      return 'dropped';
    }
    const pendingBytes = this.pendingBytes + frames.length;
    if (delivery !== 'normal' && delivery !== 'urgent' && pendingBytes > this.#bytesMax * lossyShare) {
      this.#ctx.counters.dropped(delivery, frameCount);
      return 'dropped';
    }
    if (pendingBytes > this.#bytesMax) return 'slow';
    this.#append(frames);
    this.#queuedBytes += frames.length;
    this.#frameCount += frameCount;
    this.#goOn(delivery);
    return 'queued';
  }

  /** Everything that waits, in one write. Called by the duty cycle. */
  write(): void {
    this.#isWriteRequested = false;
    this.tryWrite();
  }

  /** False: it stays here. */
  tryWrite(): boolean {
    if (this.#flow === 'free') this.#writeAll();
    return this.#flow === 'free';
  }

  /** What comes from now on waits for `release`. Of too much the first is let go before. */
  hold(): void {
    if (this.tryWrite()) this.#flow = 'held';
  }

  /** Nobody is there any more: what waits and what comes counts as not sent, and is given up. */
  stop(): void {
    this.#flow = 'stopped';
    this.#waiting = undefined;
  }

  get isStopped(): boolean {
    return this.#flow === 'stopped';
  }

  /** `first` goes before everything that was held; undefined: nothing does. */
  release(first: Uint8Array | undefined): void {
    if (this.isStopped) return;
    const held = this.#flow === 'held' ? this.#waiting : undefined;
    this.#flow = 'free';
    if (first === undefined) return this.#requestWrite();
    if (held === undefined) this.#append(first);
    else this.#waiting = Array.isArray(held) ? [first, ...held] : [first, held];
    this.#queuedBytes += first.length;
    this.#frameCount++;
    this.#requestWrite();
  }

  /** Called by the timer wheel: the batch is complete. */
  onDeadline(): void {
    this.#isBatching = false;
    this.write();
  }

  #goOn(delivery: DeliveryClass): void {
    if (this.#flow === 'held') {
      if (this.#queuedBytes <= this.#bytesMax * heldShare) return;
      this.#flow = 'free';
    }
    if (this.#queuedBytes >= earlyWriteBytes) this.#writeAll();
    else if (this.#batchMs === 0 || delivery === 'urgent') this.#requestWrite();
    else if (!this.#isBatching) {
      this.#isBatching = true;
      this.#ctx.timers.schedule(this.#ctx.clock.monotonicMs() + this.#batchMs, this);
    }
  }

  /** The connection is over, or too slow: what waits is given up. */
  discard(): void {
    this.#forget();
  }

  #append(frames: Uint8Array): void {
    if (this.#waiting === undefined) this.#waiting = frames;
    else if (Array.isArray(this.#waiting)) this.#waiting.push(frames);
    else this.#waiting = [this.#waiting, frames];
  }

  #requestWrite(): void {
    if (this.#isWriteRequested) return;
    this.#isWriteRequested = true;
    this.#ctx.schedule.requestWrite(this);
  }

  #writeAll(): void {
    const frames = this.#waiting;
    if (frames === undefined) return;
    if (!this.#transport.write(frames)) return this.stop();
    this.#ctx.counters.sent(this.#frameCount, this.#queuedBytes);
    this.#ctx.counters.wrote();
    this.#forget();
  }

  #forget(): void {
    this.#waiting = undefined;
    this.#queuedBytes = 0;
    this.#frameCount = 0;
  }
}
