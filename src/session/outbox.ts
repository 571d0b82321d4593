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
    if (this.#frames.length === 0) this.#ctx.schedule.requestWrite(this);
    this.#frames.push(frames);
    this.#queuedBytes += frames.length;
    this.#frameCount += frameCount;
    this.#ctx.counters.outbox(frames.length);
    if (this.#queuedBytes >= earlyWriteBytes) this.write();
    return 'queued';
  }

  /** Everything that waits, in one write. */
  write(): void {
    if (this.#frames.length === 0) return;
    const frames = this.#frames;
    this.#ctx.counters.sent(this.#frameCount, this.#queuedBytes);
    this.#ctx.counters.wrote();
    this.#forget();
    this.#transport.write(frames);
  }

  /** The connection is over, or too slow: what waits is given up. */
  discard(): void {
    this.#forget();
  }

  #forget(): void {
    this.#ctx.counters.outbox(-this.#queuedBytes);
    this.#frames = [];
    this.#queuedBytes = 0;
    this.#frameCount = 0;
  }
}
