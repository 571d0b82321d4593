/**
 * Memory of one ring: one writer thread, one reader thread, one SharedArrayBuffer.
 * Read by ring-writer.ts and ring-reader.ts; allocated by supervise for every ordered pair of threads.
 *
 *   byte 0         128            256          384              512
 *   +-------------+--------------+------------+----------------+--------------------------------+
 *   | head (i32)  | tail (i32)   | armed(i32) | generation(i32)| data, `dataBytes` (power of 2) |
 *   | by reader   | by writer    | by both    | by allocator   | by writer                      |
 *   +-------------+--------------+------------+----------------+--------------------------------+
 *
 * head and tail are positions: they only grow, wrap at 2^31 as int32 arithmetic does, and are masked to an index.
 * 128 bytes apart, so that the two cores do not fight for one cache line (two lines: the prefetcher takes pairs).
 */
import { assert } from '#kit/assert.ts';

export const headWord = 0;
export const tailWord = 32;
/** 1 while the reader sleeps and wants the doorbell. */
export const armedWord = 64;
export const generationWord = 96;
export const controlBytes = 512;

/** Smallest ring that makes sense. */
export const ringBytesMin = 4096;
/** Positions are int32: half of their range must be larger than the ring. */
export const ringBytesMax = 2 ** 29;

export interface RingMemory {
  words: Int32Array;
  data: Uint8Array;
  dataWords: Int32Array;
  dataBytes: number;
  /** Record area of the largest record: an eighth, so that a few always fit (agrona's rule). */
  recordBytesMax: number;
}

/**
 * Fresh memory. `ringBytes` must be a power of two; `generation` tells one life of a pair of threads from the next.
 * `startPosition` (a multiple of 8) is for tests of the wrap.
 */
export function allocateRing(ringBytes: number, generation: number, startPosition = 0): SharedArrayBuffer {
  assert(Number.isInteger(Math.log2(ringBytes)), `ring bytes are a power of two, not ${ringBytes}`);
  assert(
    ringBytes >= ringBytesMin && ringBytes <= ringBytesMax,
    `ring bytes within bounds, not ${ringBytes}`,
  );
  assert(startPosition % 8 === 0, 'positions are multiples of 8');
  const shared = new SharedArrayBuffer(controlBytes + ringBytes);
  const words = new Int32Array(shared, 0, controlBytes / 4);
  words[headWord] = startPosition;
  words[tailWord] = startPosition;
  words[armedWord] = 1;
  words[generationWord] = generation;
  return shared;
}

/** Views over memory that `allocateRing` made; both ends call it. */
export function openRing(shared: SharedArrayBuffer): RingMemory {
  const dataBytes = shared.byteLength - controlBytes;
  return {
    words: new Int32Array(shared, 0, controlBytes / 4),
    data: new Uint8Array(shared, controlBytes, dataBytes),
    dataWords: new Int32Array(shared, controlBytes, dataBytes / 4),
    dataBytes,
    recordBytesMax: dataBytes / 8,
  };
}
