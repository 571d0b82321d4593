/**
 * Server-side WebSocket frames (RFC 6455, 5.2): unmasked, unfragmented, uncompressed.
 * Made once and shared by every receiver; test/unit/wire holds them against what ws itself would send.
 */
import type { Encoding } from '#proto/envelope.ts';

const finalFragment = 0x80;
const opcodes = { json: 0x1, msgpack: 0x2 } as const satisfies Record<Encoding, number>;

/** A complete frame around UTF-8 text. */
export function frameText(text: string): Buffer {
  const payloadBytes = Buffer.byteLength(text);
  const frame = allocateFrame('json', payloadBytes);
  frame.write(text, frame.length - payloadBytes, 'utf8');
  return frame;
}

/** A complete frame around the concatenation of `parts`. */
export function frameBinary(...parts: Uint8Array[]): Buffer {
  const payloadBytes = parts.reduce((sum, part) => sum + part.length, 0);
  const frame = allocateFrame('msgpack', payloadBytes);
  let at = frame.length - payloadBytes;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

function allocateFrame(encoding: Encoding, payloadBytes: number): Buffer {
  const headerBytes = payloadBytes < 126 ? 2 : payloadBytes < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(headerBytes + payloadBytes);
  frame[0] = finalFragment | opcodes[encoding];
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
