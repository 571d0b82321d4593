/**
 * The reading end of a ring. Exactly one thread holds it.
 * The handler is lent the bytes (`borrowedContent`): they belong to the writer again as soon as it returns.
 */
import { assert } from '#kit/assert.ts';
import {
  alignedRecordBytes,
  lengthWordOffset,
  prefixBytes,
  typePadding,
  typeWordOffset,
} from './record-layout.ts';
import { armedWord, headWord, type RingMemory, tailWord } from './ring-layout.ts';

export class RingReader {
  readonly #ring: RingMemory;
  readonly #mask: number;
  #headPosition: number;

  constructor(ring: RingMemory) {
    this.#ring = ring;
    this.#mask = ring.dataBytes - 1;
    this.#headPosition = Atomics.load(ring.words, headWord);
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#ring.words, tailWord) === this.#headPosition;
  }

  /** Bytes written and not yet read. */
  get unreadBytes(): number {
    return (Atomics.load(this.#ring.words, tailWord) - this.#headPosition) | 0;
  }

  /**
   * Hands up to `recordsMax` records to `handler`, oldest first; answers how many. The room is given back after each
   * record, also when the handler throws, so that one bad record cannot be read for ever.
   */
  read(handler: (borrowedContent: Uint8Array) => void, recordsMax: number): number {
    const tailPosition = Atomics.load(this.#ring.words, tailWord);
    let recordCount = 0;
    while (this.#headPosition !== tailPosition && recordCount < recordsMax) {
      const index = this.#headPosition & this.#mask;
      const contentBytes = this.#ring.dataWords[(index >> 2) + lengthWordOffset] as number;
      const type = this.#ring.dataWords[(index >> 2) + typeWordOffset];
      assert(
        contentBytes >= 0 && contentBytes <= this.#ring.dataBytes,
        `record length ${contentBytes} is sane`,
      );
      this.#headPosition = (this.#headPosition + alignedRecordBytes(contentBytes)) | 0;
      try {
        if (type !== typePadding) {
          recordCount++;
          handler(this.#ring.data.subarray(index + prefixBytes, index + prefixBytes + contentBytes));
        }
      } finally {
        Atomics.store(this.#ring.words, headWord, this.#headPosition);
      }
    }
    return recordCount;
  }

  /**
   * Before going to sleep: asks for the doorbell. False means that a record came in between: read again.
   * Armed first and looked second, so that no record can fall between the look and the sleep. [RNG2]
   */
  tryArm(): boolean {
    Atomics.store(this.#ring.words, armedWord, 1);
    if (this.isEmpty) return true;
    Atomics.store(this.#ring.words, armedWord, 0);
    return false;
  }
}
