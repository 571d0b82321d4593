/** msgpack written by hand, for what no encoder would write. */
import { Packr } from 'msgpackr';

/** `useToJSON` off: a field of that name is a field. */
const packr = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false });

export const pack = (value: unknown): Buffer => packr.pack(value);
export const bytes = (...parts: (number | Uint8Array | string)[]): Buffer =>
  Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.from([part]);
      return typeof part === 'string' ? Buffer.from(part) : part;
    }),
  );
export const uint16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
export const uint32 = (value: number): Buffer => {
  const word = Buffer.alloc(4);
  word.writeUInt32BE(value);
  return word;
};
export const uint64 = (value: bigint): Buffer => {
  const word = Buffer.alloc(8);
  word.writeBigUInt64BE(BigInt.asUintN(64, value));
  return word;
};
export const float64 = (value: number): Buffer => {
  const word = Buffer.alloc(8);
  word.writeDoubleBE(value);
  return word;
};
export const float32 = (value: number): Buffer => {
  const word = Buffer.alloc(4);
  word.writeFloatBE(value);
  return word;
};

/** `depth` arrays around nil: the outermost is depth 1. */
export const nestedArrays = (depth: number): Buffer => bytes(Buffer.alloc(depth - 1, 0x91), 0x90);
/** `depth` maps, each the value of the key "a". */
export const nestedMaps = (depth: number): Buffer =>
  bytes(...Array.from({ length: depth - 1 }, () => bytes(0x81, 0xa1, 'a')), 0x80);
