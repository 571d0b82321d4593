/**
 * Walks untrusted msgpack bytes before they are decoded, without allocating.
 * Lets pass what JSON can say, and `bin`: maps with string keys, arrays, strings, finite numbers, booleans, nil.
 * Refuses extensions (msgpackr would decode records, references and RegExp from them: reliability reference 2.1),
 * deep nesting, integers that a double cannot hold, counts larger than the bytes left, and bytes after the end.
 */
import { depthMax } from '#proto/limits.ts';
import { WireError } from './wire-error.ts';

/** Throws WireError unless `bytes` are exactly one acceptable value. */
export function scanMsgpack(bytes: Uint8Array): void {
  const scanner = new Scanner(bytes);
  // The array around envelopes is not a level of theirs.
  scanner.value(isArray(bytes[0]) ? 0 : 1);
  scanner.assertEnd();
}

function isArray(byte = 0): boolean {
  return (byte & 0xf0) === 0x90 || byte === 0xdc || byte === 0xdd;
}

const protoKey = Buffer.from('__proto__');

class Scanner {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  assertEnd(): void {
    if (this.#at !== this.#bytes.length)
      throw new WireError(`msgpack: ${this.#bytes.length - this.#at} bytes after the value`);
  }

  value(depth: number): void {
    const byte = this.#take(1);
    if (byte <= 0x7f || byte >= 0xe0) return; // fixint
    if (byte <= 0x8f) return this.#map(byte & 0x0f, depth);
    if (byte <= 0x9f) return this.#array(byte & 0x0f, depth);
    if (byte <= 0xbf) return this.#skip(byte & 0x1f); // fixstr
    this.#tagged(byte, depth);
  }

  #tagged(byte: number, depth: number): void {
    switch (byte) {
      case 0xc0: // nil
      case 0xc2: // false
      case 0xc3: // true
        return;
      case 0xc4: // bin 8, 16, 32
      case 0xd9: // str 8
        return this.#skip(this.#take(1));
      case 0xc5:
      case 0xda: // str 16
        return this.#skip(this.#take(2));
      case 0xc6:
      case 0xdb: // str 32
        return this.#skip(this.#take(4));
      case 0xca:
        return this.#finite(this.#view.getFloat32(this.#skipTo(4)));
      case 0xcb:
        return this.#finite(this.#view.getFloat64(this.#skipTo(8)));
      case 0xcc: // uint and int 8, 16, 32
      case 0xd0:
        return this.#skip(1);
      case 0xcd:
      case 0xd1:
        return this.#skip(2);
      case 0xce:
      case 0xd2:
        return this.#skip(4);
      case 0xcf:
        return this.#safeInteger(this.#view.getBigUint64(this.#skipTo(8)));
      case 0xd3:
        return this.#safeInteger(this.#view.getBigInt64(this.#skipTo(8)));
      case 0xdc:
        return this.#array(this.#take(2), depth);
      case 0xdd:
        return this.#array(this.#take(4), depth);
      case 0xde:
        return this.#map(this.#take(2), depth);
      case 0xdf:
        return this.#map(this.#take(4), depth);
      default:
        throw new WireError(`msgpack: type 0x${byte.toString(16)} is not taken; extensions are refused`);
    }
  }

  #array(count: number, depth: number): void {
    this.#assertRoom(count, depth);
    for (let index = 0; index < count; index++) this.value(depth + 1);
  }

  #map(count: number, depth: number): void {
    this.#assertRoom(count * 2, depth);
    for (let index = 0; index < count; index++) {
      this.#key();
      this.value(depth + 1);
    }
  }

  #key(): void {
    const byte = this.#take(1);
    const keyBytes =
      byte >= 0xa0 && byte <= 0xbf
        ? byte & 0x1f
        : byte === 0xd9
          ? this.#take(1)
          : byte === 0xda
            ? this.#take(2)
            : -1;
    if (keyBytes < 0) throw new WireError('msgpack: map keys must be strings');
    const start = this.#skipTo(keyBytes);
    if (keyBytes === protoKey.length && protoKey.equals(this.#bytes.subarray(start, start + keyBytes))) {
      throw new WireError('the key "__proto__" is refused');
    }
  }

  #assertRoom(values: number, depth: number): void {
    if (depth >= depthMax + 1) throw new WireError(`nested deeper than ${depthMax}`);
    if (values > this.#bytes.length - this.#at)
      throw new WireError('msgpack: more values announced than bytes are left');
  }

  #finite(value: number): void {
    if (!Number.isFinite(value)) throw new WireError('msgpack: numbers must be finite');
  }

  #safeInteger(value: bigint): void {
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
      throw new WireError('msgpack: integers must lie within ±(2^53-1)');
    }
  }

  /** Unsigned big-endian integer of 1, 2 or 4 bytes. */
  #take(width: 1 | 2 | 4): number {
    const start = this.#skipTo(width);
    if (width === 1) return this.#bytes[start] as number;
    return width === 2 ? this.#view.getUint16(start) : this.#view.getUint32(start);
  }

  #skip(count: number): void {
    this.#skipTo(count);
  }

  /** Moves past `count` bytes and answers where they start. */
  #skipTo(count: number): number {
    const start = this.#at;
    if (count > this.#bytes.length - start) throw new WireError('msgpack: cut off in the middle of a value');
    this.#at = start + count;
    return start;
  }
}
