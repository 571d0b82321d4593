/**
 * Records that prove themselves: a number, a checksum over everything else, and random bytes.
 * Made by writer-thread.ts, checked by ring-threads.test.ts in the other thread.
 */
import { digestBytes } from '#kit/hash.ts';
import type { Random } from '#kit/random.ts';

const sequenceOffset = 0;
const checksumOffset = 4;
const headerBytes = 12;
const poolSize = 512;

interface Pooled {
  record: Buffer;
  digest: number;
  /** Where it is cut into the two parts that a ring takes. */
  cut: number;
}

/** Ready-made records of random sizes, so that the writing thread does little else than write. */
export class RecordPool {
  readonly #pool: Pooled[];

  constructor(contentBytesMax: number, random: Random) {
    this.#pool = Array.from({ length: poolSize }, () => {
      const record = Buffer.alloc(
        headerBytes + Math.floor(random.next() * (contentBytesMax - headerBytes + 1)),
      );
      for (let at = headerBytes; at < record.length; at++) record[at] = random.next() * 256;
      const cut = Math.floor(random.next() * record.length);
      return { record, digest: digestBytes(record.subarray(headerBytes)), cut };
    });
  }

  record(sequence: number): [head: Uint8Array, body: Uint8Array] {
    const { record, digest, cut } = this.#pool[(sequence * 7919) % poolSize]!;
    record.writeUInt32LE(sequence, sequenceOffset);
    record.writeDoubleLE(checksumOf(digest, record.length, sequence), checksumOffset);
    return [record.subarray(0, cut), record.subarray(cut)];
  }
}

/** The number of a whole record; throws on one that is torn. */
export function sequenceOfChecked(content: Uint8Array): number {
  const record = Buffer.from(content.buffer, content.byteOffset, content.length);
  if (record.length < headerBytes) throw new Error(`torn: ${record.length} bytes`);
  const sequence = record.readUInt32LE(sequenceOffset);
  const checksum = checksumOf(digestBytes(record.subarray(headerBytes)), record.length, sequence);
  if (record.readDoubleLE(checksumOffset) !== checksum) {
    throw new Error(`torn: record ${sequence} of ${content.length} bytes: ${record.toString('hex')}`);
  }
  return sequence;
}

/** Of the bytes, the length and the number together: no record passes for another. */
function checksumOf(digest: number, length: number, sequence: number): number {
  return digest + length * 65_536 + (sequence % 65_521);
}
