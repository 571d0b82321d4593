/**
 * Server-side WebSocket frames (RFC 6455, 5.2): unmasked, unfragmented; deflate-frame.ts compresses them.
 * Made once and shared by every receiver; test/unit/wire holds them against what ws itself would send.
 */
import type { PlainEncoding } from '#proto/envelope.ts';

const finalFragment = 0x80;
const opcodes = { json: 0x1, msgpack: 0x2 } as const satisfies Record<PlainEncoding, number>;

/** A complete frame around UTF-8 text. */
export function frameText(text: string): Buffer {
  const payloadBytes = Buffer.byteLength(text);
  const frame = allocateFrame(opcodes.json, payloadBytes);
  frame.write(text, frame.length - payloadBytes, 'utf8');
  return frame;
}

/** A complete frame around the concatenation of `parts`. */
export function frameBinary(...parts: Uint8Array[]): Buffer {
  const payloadBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const frame = allocateFrame(opcodes.msgpack, payloadBytes);
  let at = frame.length - payloadBytes;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** Of a complete frame that was made here. */
export function payloadOf(frame: Uint8Array): Uint8Array {
  const lengthCode = frame[1] as number;
  return frame.subarray(lengthCode < 126 ? 2 : lengthCode === 126 ? 4 : 10);
}

/** A frame of `payloadBytes` whose payload is still to be written; `firstBits` are its opcode and reserved bits. */
export function allocateFrame(firstBits: number, payloadBytes: number): Buffer {
  const headerBytes = payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerBytes + payloadBytes);
  frame[0] = finalFragment | firstBits;
  if (headerBytes === 2) {
    frame[1] = payloadBytes;
  } else if (headerBytes === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(payloadBytes, 2);
  } else {
    frame[1] = 127;
    frame.writeUInt32BE(Math.floor(payloadBytes / 2 ** 32), 2);
    frame.writeUInt32BE(payloadBytes >>> 0, 6);
  }
  return frame;
}
