/** The server's bytes, read as a client library reads them. */
import { Unpackr } from 'msgpackr';
import type { Encoding } from '#proto/envelope.ts';

export interface Received {
  type: string;
  id?: string;
  data: Record<string, unknown>;
  timestamp: number;
}

const unpackr = new Unpackr({ useRecords: false });

/** The messages in a run of complete, unmasked WebSocket frames. Throws when a frame is broken or of the wrong kind. */
export function readFrames(bytes: Buffer, encoding: Encoding): Received[] {
  const messages: Received[] = [];
  let at = 0;
  while (at < bytes.length) {
    const first = encoding === 'json' ? 0x81 : 0x82;
    if (bytes[at] !== first) throw new Error(`a frame begins with 0x${bytes[at]?.toString(16)}`);
    const short = bytes[at + 1]!;
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    if (start + length > bytes.length) throw new Error(`a frame of ${length} bytes is cut`);
    const message = bytes.subarray(start, start + length);
    messages.push(
      (encoding === 'json' ? JSON.parse(message.toString()) : unpackr.unpack(message)) as Received,
    );
    at = start + length;
  }
  return messages;
}
