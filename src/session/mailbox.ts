/**
 * Bounded queue of decoded envelopes in front of one session.
 * Thread: shard. Filled by session.ts when bytes arrive, emptied by it in slices.
 * Past `pauseAt` the connection is not read any further (backpressure to the client). The read that it came with, of up to
 * 64 KiB, may hold eight thousand more of the smallest envelopes: those fit below `envelopesMax`, what does not is refused
 * as `busy`. Things that are no envelopes never come here (session.ts answers them at once).
 */
import type { ClientEnvelope } from '#proto/data.ts';
import type { Decoded } from '../wire/decode-frame.ts';

const pauseAt = 256;
const resumeAt = 64;
const envelopesMax = 8192;

export class Mailbox {
  /** Taken from the front by index, so that a long queue is not moved for each envelope. */
  #queue: Decoded[] = [];
  #front = 0;

  get size(): number {
    return this.#queue.length - this.#front;
  }

  get firstType(): ClientEnvelope['type'] | undefined {
    const first = this.#queue[this.#front];
    return first?.ok ? first.envelope.type : undefined;
  }

  get shouldPause(): boolean {
    return this.size >= pauseAt;
  }

  get mayResume(): boolean {
    return this.size <= resumeAt;
  }

  tryPush(decoded: Decoded): 'queued' | 'full' {
    if (this.size >= envelopesMax) return 'full';
    this.#queue.push(decoded);
    return 'queued';
  }

  take(): Decoded | undefined {
    const decoded = this.#queue[this.#front];
    if (decoded === undefined) return undefined;
    this.#front++;
    if (this.#front === this.#queue.length || this.#front >= pauseAt) {
      this.#queue = this.#queue.slice(this.#front);
      this.#front = 0;
    }
    return decoded;
  }

  clear(): void {
    this.#queue = [];
    this.#front = 0;
  }
}
