/**
 * Byte-bounded queue in front of one connection.
 * Thread: shard. Filled by replies and by the lanes of topics, written once per turn by the duty cycle.
 * Never blocks and never drops silently: past `bytesMax` it answers 'slow' and the session decides. [SES3]
 * Bytes and not messages: one image of 60 kB hurts more than five hundred cursors.
 */
import type { SchedulePort, SessionCounters, Transport, Writable } from './ports.ts';

/**
 * So much is written without waiting for the end of the turn: what the kernel takes at once must not count against a
 * client that reads well, however large the burst of one turn is.
 */
const earlyWriteBytes = 64 * 1024;

export interface OutboxContext {
  schedule: SchedulePort;
  counters: SessionCounters;
}

export class Outbox implements Writable {
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

  constructor(transport: Transport, bytesMax: number, ctx: OutboxContext) {
    this.#transport = transport;
    this.#bytesMax = bytesMax;
    this.#ctx = ctx;
  }

  /** Bytes on their way to this client: here and in the socket. */
  get pendingBytes(): number {
    return this.#queuedBytes + this.#transport.bufferedBytes();
  }

  push(frames: Uint8Array, frameCount: number): 'queued' | 'slow' {
    if (this.pendingBytes + frames.length > this.#bytesMax) return 'slow';
    this.#append(frames);
    this.#queuedBytes += frames.length;
    this.#frameCount += frameCount;
    if (this.#queuedBytes >= earlyWriteBytes) this.#writeAll();
    else this.#requestWrite();
    return 'queued';
  }

  /** Everything that waits, in one write. Called by the duty cycle, and before a close frame. */
  write(): void {
    this.#isWriteRequested = false;
    this.#writeAll();
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
    this.#ctx.counters.sent(this.#frameCount, this.#queuedBytes);
    this.#ctx.counters.wrote();
    this.#forget();
    this.#transport.write(frames);
  }

  #forget(): void {
    this.#waiting = undefined;
    this.#queuedBytes = 0;
    this.#frameCount = 0;
  }
}
