/** Both ends of a ring in one thread, for tests. */
import { allocateRing, openRing } from '../../../src/ring/ring-layout.ts';
import { RingReader } from '../../../src/ring/ring-reader.ts';
import { RingWriter } from '../../../src/ring/ring-writer.ts';

export interface RingPair {
  shared: SharedArrayBuffer;
  writer: RingWriter;
  reader: RingReader;
}

export function openPair(ringBytes = 4096, startPosition = 0): RingPair {
  const shared = allocateRing(ringBytes, 1, startPosition);
  return { shared, writer: new RingWriter(openRing(shared)), reader: new RingReader(openRing(shared)) };
}

/** Up to `recordsMax` records, copied out of the ring. */
export function readCopies(reader: RingReader, recordsMax = Number.POSITIVE_INFINITY): Buffer[] {
  const records: Buffer[] = [];
  reader.read((content) => void records.push(Buffer.from(content)), recordsMax);
  return records;
}

/** `length` bytes that differ from one `seed` to the next. */
export function patternBytes(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) bytes[index] = seed * 31 + index * 7 + (index >> 8);
  return bytes;
}

export const nothing = new Uint8Array(0);

/** Positions just before int32 wraps, and just before it wraps from negative to zero. */
export const wrapPositions = [2 ** 31 - 8, 2 ** 31 - 64, 2 ** 31 - 2048, 2 ** 31 - 4096 + 8, 2 ** 32 - 1024];
