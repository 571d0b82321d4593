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
  /** Complete frames, shared with other outboxes: references, not copies. */
  #frames: Uint8Array[] = [];
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
    this.#frames.push(frames);
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

  #requestWrite(): void {
    if (this.#isWriteRequested) return;
    this.#isWriteRequested = true;
    this.#ctx.schedule.requestWrite(this);
  }

  #writeAll(): void {
    if (this.#frames.length === 0) return;
    const frames = this.#frames;
    this.#ctx.counters.sent(this.#frameCount, this.#queuedBytes);
    this.#ctx.counters.wrote();
    this.#forget();
    this.#transport.write(frames);
  }

  #forget(): void {
    this.#frames = [];
    this.#queuedBytes = 0;
    this.#frameCount = 0;
  }
}
