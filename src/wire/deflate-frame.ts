/**
 * Complete frames → the same, compressed (permessage-deflate, RFC 7692). Once for all who get them: no context is kept from
 * one message to the next, and all clients have the same window.
 * Synchronous: a frame is compressed once per topic and flush, and order needs no queue.
 */
import { constants, deflateRawSync } from 'node:zlib';
import { allocateFrame, payloadOf } from './websocket-frame.ts';

/** The window that clients are told, in bits: 4 KiB, so that a thousand contexts are megabytes and not hundreds of them. */
export const deflateWindowBits = 12;
/** Smaller payloads leave as they are: compressing costs more than it saves (docs/BENCHMARKS.md, deflate). */
const deflateBytesMin = 256;
const compressedBit = 0x40;
/** What a sync flush ends with, and the receiver puts back (RFC 7692, 7.2.1). */
const tailBytes = 4;

const options = {
  level: 3,
  memLevel: 6,
  windowBits: deflateWindowBits,
  finishFlush: constants.Z_SYNC_FLUSH,
};

/** The frame itself where compressing it does not help. */
export function deflateFrame(frame: Buffer): Buffer {
  const payload = payloadOf(frame);
  if (payload.length < deflateBytesMin) return frame;
  const deflated = deflateRawSync(payload, options);
  const bytes = deflated.length - tailBytes;
  if (bytes >= payload.length) return frame;
  const compressed = allocateFrame(((frame[0] as number) & 0x0f) | compressedBit, bytes);
  compressed.set(deflated.subarray(0, bytes), compressed.length - bytes);
  return compressed;
}
