/** How many frames can one thread decode, and how many publications encode, in JSON and in msgpack? */

import { encodings } from '#proto/envelope.ts';
import type { MessageId, TopicName, UserId } from '#proto/names.ts';
import { packMsgpack } from '../src/wire/codec.ts';
import { decodeFrame } from '../src/wire/decode-frame.ts';
import { encodePublication, type Publication } from '../src/wire/encode-frame.ts';
import { Payload } from '../src/wire/payload.ts';
import { compare, type Row, type Scenario } from './scenario.ts';

/** What a chat message looks like; a rich one is not a string. */
const payloads = {
  '100 B text': 'x'.repeat(100),
  '1 KB text': 'x'.repeat(1024),
  'object of 8 fields': Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`field${n}`, `value ${n}`])),
};

export const codec: Scenario = {
  name: 'codec',
  question:
    'How many frames can one thread decode, and how many publications encode, in JSON and in msgpack?',
  async run(bench) {
    const milliseconds = bench.isSmoke ? 5 : 500;
    for (const [name, payload] of Object.entries(payloads)) {
      bench.progress(`codec, ${name}`);
      bench.rows(decodeRows(`decodeFrame, ${name}`, payload, milliseconds));
      bench.rows(encodeRows(`encodePublication, ${name}`, payload, milliseconds));
      await new Promise(setImmediate);
    }
  },
};

function decodeRows(setting: string, payload: unknown, milliseconds: number): Row[] {
  const envelope = { type: 'Broadcast', id: 'm-1', data: { topic: 'bench:1', payload } };
  const rows = encodings.map((encoding) => {
    const bytes =
      encoding === 'json' ? Buffer.from(JSON.stringify(envelope)) : Buffer.from(packMsgpack(envelope));
    return rowOf(setting, encoding, milliseconds, () => decodeFrame(bytes, encoding)[0]?.ok === true);
  });
  return compared(rows);
}

/** The payload comes as msgpack, as it does from another thread; JSON text is made of it here. */
function encodeRows(setting: string, payload: unknown, milliseconds: number): Row[] {
  const packed = packMsgpack(payload);
  const publication: Omit<Publication, 'payload'> = {
    type: 'Broadcast',
    id: '0198c2f2-7b1a-7000-8000-000000000000' as MessageId,
    topic: 'bench:1' as TopicName,
    from: 'user-1' as UserId,
    timestamp: 1_790_000_000_000,
  };
  const rows = encodings.map((encoding) =>
    rowOf(setting, encoding, milliseconds, () => {
      const frame = encodePublication({ ...publication, payload: Payload.ofMsgpack(packed) }, encoding);
      return frame.length > packed.length;
    }),
  );
  return compared(rows);
}

function compared(rows: Row[]): Row[] {
  compare(rows, [{ server: 'msgpack', against: 'json' }]);
  return rows;
}

/** `operation` answers whether it worked. Its first half is not counted: code gets compiled. */
function rowOf(setting: string, server: string, milliseconds: number, operation: () => boolean): Row {
  repeat(milliseconds, operation);
  const { count, failedCount, tookMs } = repeat(milliseconds, operation);
  const value = (tookMs * 1000) / count;
  if (failedCount > 0)
    return { setting, server, state: 'void', value: Number.NaN, unit: 'µs', note: `${failedCount} failed` };
  return { setting, server, state: 'measured', value, unit: 'µs', note: `${(count / tookMs).toFixed(0)}k/s` };
}

function repeat(
  milliseconds: number,
  operation: () => boolean,
): { count: number; failedCount: number; tookMs: number } {
  const startedMs = performance.now();
  let [count, failedCount, tookMs] = [0, 0, 0];
  while (tookMs < milliseconds) {
    for (let turn = 0; turn < 100; turn++) if (!operation()) failedCount++;
    count += 100;
    tookMs = performance.now() - startedMs;
  }
  return { count, failedCount, tookMs };
}
