/**
 * The only importer of msgpackr: values ↔ msgpack bytes, in plain msgpack that any library can speak.
 * Thread: shard. Bytes of clients come here only after scan-msgpack.ts has let them pass.
 */
import { Packr, Unpackr } from 'msgpackr';

/** `useToJSON: false`: a client may name a field so, and msgpackr would call it. */
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  encodeUndefinedAsNil: true,
  useToJSON: false,
});
// 'auto' is missing in msgpackr's types: a number where it fits, which the scan has made sure of.
const integersAsNumbers = { int64AsType: 'auto' as 'number' };
const unpackr = new Unpackr({ useRecords: false, structuredClone: false, ...integersAsNumbers });

/** Owned bytes, never written to again. */
export function packMsgpack(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Between threads only: objects whose absent fields stay absent, their names written once. */
const objectPackr = new Packr({ useRecords: true, useToJSON: false });
const objectUnpackr = new Unpackr({ useRecords: true, ...integersAsNumbers });

/** What a record carries of the store's own types; read by `unpackObject` only. */
export function packObject(value: unknown): Uint8Array {
  return objectPackr.pack(value);
}

export function unpackObject(bytes: Uint8Array): unknown {
  return objectUnpackr.unpack(bytes);
}

/** Throws on bytes that are not msgpack; binary values are views of `bytes`. */
export function unpackMsgpack(bytes: Uint8Array): unknown {
  return unpackr.unpack(bytes);
}
