/**
 * The writing end of a ring. Exactly one thread holds it.
 * A record becomes visible by one store of the tail, after all its bytes: a writer that is terminated between any two
 * instructions leaves nothing half-written behind. [RNG1]
 */
import { assert } from '#kit/assert.ts';
import { alignedRecordBytes, prefixBytes, typeContent, typePadding } from './record-layout.ts';
import { armedWord, headWord, type RingMemory, tailWord } from './ring-layout.ts';

export class RingWriter {
  readonly #ring: RingMemory;
  readonly #mask: number;
  /** Own position; nobody else moves it. */
  #tailPosition: number;
  /** Last head seen: loaded again only when the ring looks full, to leave the reader's cache line alone. */
  #headPosition: number;

  constructor(ring: RingMemory) {
    this.#ring = ring;
    this.#mask = ring.dataBytes - 1;
    this.#tailPosition = Atomics.load(ring.words, tailWord);
    this.#headPosition = Atomics.load(ring.words, headWord);
  }

  /** Largest content of one record, bytes. */
  get contentBytesMax(): number {
    return this.#ring.recordBytesMax - prefixBytes;
  }

  /** Bytes written and not yet read. */
  get usedBytes(): number {
    return (this.#tailPosition - Atomics.load(this.#ring.words, headWord)) | 0;
  }

  /**
   * Copies `head` and `body` into one record. 'full' means that nothing was written: the caller keeps the record or
   * refuses its sender, and never spins. Larger than `contentBytesMax` is a bug of the caller.
   */
  tryWrite(head: Uint8Array, body: Uint8Array): 'written' | 'full' {
    const contentBytes = head.length + body.length;
    assert(
      contentBytes <= this.contentBytesMax,
      `record of ${contentBytes} bytes fits ${this.contentBytesMax}`,
    );
    const recordBytes = alignedRecordBytes(contentBytes);
    const tailIndex = this.#tailPosition & this.#mask;
    const toEnd = this.#ring.dataBytes - tailIndex;
    const paddingBytes = recordBytes > toEnd ? toEnd : 0;
    if (!this.#hasRoom(paddingBytes + recordBytes)) return 'full';

    if (paddingBytes > 0) this.#writePrefix(tailIndex, paddingBytes - prefixBytes, typePadding);
    const index = paddingBytes > 0 ? 0 : tailIndex;
    this.#ring.data.set(head, index + prefixBytes);
    this.#ring.data.set(body, index + prefixBytes + head.length);
    this.#writePrefix(index, contentBytes, typeContent);
    this.#tailPosition = (this.#tailPosition + paddingBytes + recordBytes) | 0;
    Atomics.store(this.#ring.words, tailWord, this.#tailPosition);
    return 'written';
  }

  /** True once per sleep of the reader: the caller that gets it must ring the doorbell. */
  takeDoorbell(): boolean {
    return (
      Atomics.load(this.#ring.words, armedWord) === 1 &&
      Atomics.exchange(this.#ring.words, armedWord, 0) === 1
    );
  }

  #hasRoom(bytes: number): boolean {
    if (this.#freeBytes() >= bytes) return true;
    this.#headPosition = Atomics.load(this.#ring.words, headWord);
    return this.#freeBytes() >= bytes;
  }

  #freeBytes(): number {
    return this.#ring.dataBytes - ((this.#tailPosition - this.#headPosition) | 0);
  }

  #writePrefix(index: number, contentBytes: number, type: number): void {
    const word = index >> 2;
    this.#ring.dataWords[word] = contentBytes;
    this.#ring.dataWords[word + 1] = type;
  }
}
