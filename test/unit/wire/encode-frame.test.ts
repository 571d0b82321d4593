/** Server envelopes → frames: both encodings say the same, to any WebSocket and msgpack library. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Unpackr } from 'msgpackr';
import { type Priority, priorities } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import type { MessageId, TopicName, UserId } from '#proto/names.ts';
import { encodeEnvelope, encodePublication, type Publication } from '../../../src/wire/encode-frame.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { pack } from './msgpack-bytes.ts';

const unpackr = new Unpackr({ useRecords: false });

/** What a client reads from a frame, by the rules of RFC 6455. */
function readFrame(frame: Buffer, encoding: Encoding): unknown {
  assert.equal(frame[0], encoding === 'json' ? 0x81 : 0x82, 'final, of the kind of its encoding');
  const short = frame[1]!;
  const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
  const length =
    short < 126 ? short : short === 126 ? frame.readUInt16BE(2) : Number(frame.readBigUInt64BE(2));
  const message = frame.subarray(headerBytes);
  assert.equal(message.length, length, 'the header tells the length');
  return encoding === 'json' ? JSON.parse(message.toString()) : unpackr.unpack(message);
}

const readBoth = (encode: (encoding: Encoding) => Buffer) => ({
  json: readFrame(encode('json'), 'json'),
  msgpack: readFrame(encode('msgpack'), 'msgpack'),
});

const base = {
  id: '01976b3a-0000-7000-8000-000000000001' as MessageId,
  from: 'ann' as UserId,
  timestamp: 1_767_225_600_000,
};

test('a reply decodes to the same envelope in both encodings', () => {
  const envelopes = [
    {
      type: 'Status',
      id: 'c1',
      data: { op: 'Subscribe', topic: 'a', class: 'volatile' },
      timestamp: 1_767_225_600_000,
    },
    { type: 'Pong', data: {}, timestamp: 1.5 },
    { type: 'Pong', id: '😀"\\\u0000', data: { nested: [{ deep: null }] }, timestamp: 0 },
    { type: 'Error', data: { code: 'busy', message: 'ü', retryable: true, retryAfterMs: 5 }, timestamp: 1 },
  ] as const;
  for (const envelope of envelopes) {
    const { json, msgpack } = readBoth((encoding) => encodeEnvelope(envelope, encoding));
    assert.deepEqual(json, envelope);
    assert.deepEqual(msgpack, envelope);
  }
});

test('every combination of optional fields is delivered, and absent ones are absent', () => {
  const optional = {
    topic: 'chat:lobby' as TopicName,
    to: 'ben' as UserId,
    event: 'de"ploy\n😀',
    priority: 'critical' as Priority,
  };
  const names = Object.keys(optional) as (keyof typeof optional)[];
  for (let mask = 0; mask < 2 ** names.length; mask++) {
    const chosen = Object.fromEntries(
      names.filter((_, bit) => mask & (1 << bit)).map((name) => [name, optional[name]]),
    );
    for (const type of ['Broadcast', 'DirectMessage'] as const) {
      const payload = { text: 'hi' };
      const publication: Publication = { type, ...base, ...chosen, payload: Payload.ofValue(payload) };
      const expected = {
        type,
        id: base.id,
        data: { ...chosen, from: 'ann', payload },
        timestamp: base.timestamp,
      };
      const { json, msgpack } = readBoth((encoding) => encodePublication(publication, encoding));
      assert.deepEqual(json, expected);
      assert.deepEqual(msgpack, expected);
    }
  }
});

test('nothing but the fields of the protocol is delivered: no key, no time to live', () => {
  const publication = {
    type: 'Broadcast',
    ...base,
    payload: Payload.ofValue(1),
    key: 'k',
    ttlMs: 5,
  } as Publication;
  const { json, msgpack } = readBoth((encoding) => encodePublication(publication, encoding));
  for (const envelope of [json, msgpack]) {
    assert.deepEqual(Object.keys((envelope as { data: object }).data).sort(), ['from', 'payload']);
  }
});

test('a payload that came as msgpack and one that came as a value give the same frames', () => {
  const value = { text: 'ü', list: [1, 2.5, null, { a: true }] };
  for (const encoding of ['json', 'msgpack'] as const) {
    const [one, other] = [Payload.ofValue(value), Payload.ofMsgpack(pack(value))].map((payload) =>
      encodePublication({ type: 'Broadcast', ...base, payload }, encoding),
    );
    assert.ok(one!.equals(other!));
  }
});

test('bin reaches msgpack clients as bin and JSON clients as base64', () => {
  const bin = Buffer.from([1, 2, 255]);
  const payload = Payload.ofMsgpack(pack({ image: bin }));
  const { json, msgpack } = readBoth((encoding) =>
    encodePublication({ type: 'Broadcast', ...base, payload }, encoding),
  );
  assert.deepEqual((json as { data: unknown }).data, { from: 'ann', payload: { image: 'AQL/' } });
  assert.deepEqual((msgpack as { data: unknown }).data, { from: 'ann', payload: { image: bin } });
});

test('payloads of every frame size keep their length', () => {
  for (const length of [0, 20, 60, 125, 126, 65_000, 65_536, 100_000]) {
    const payload = Payload.ofValue('x'.repeat(length));
    const { json, msgpack } = readBoth((encoding) =>
      encodePublication({ type: 'Broadcast', ...base, payload }, encoding),
    );
    assert.deepEqual(json, msgpack);
    assert.equal((json as { data: { payload: string } }).data.payload.length, length);
  }
});

test('any payload and any event decode to the same in both encodings', () => {
  const jsonValue = fc.jsonValue({ maxDepth: 6, stringUnit: 'binary' }).map(asAccepted);
  fc.assert(
    fc.property(
      jsonValue,
      fc.option(fc.string({ unit: 'binary', minLength: 1 }), { nil: undefined }),
      fc.constantFrom(...priorities, undefined),
      (value, event, priority) => {
        const publication: Publication = {
          type: 'Broadcast',
          ...base,
          topic: 'a' as TopicName,
          ...(event === undefined ? {} : { event }),
          ...(priority === undefined ? {} : { priority }),
          payload: Payload.ofValue(value),
        };
        const { json, msgpack } = readBoth((encoding) => encodePublication(publication, encoding));
        assert.deepEqual(json, msgpack);
        assert.deepEqual((json as { data: { payload: unknown } }).data.payload, value);
      },
    ),
    { numRuns: 500 },
  );
});

/** What a client may send: JSON has no -0 (msgpack's float does), and `__proto__` is refused on the way in. */
function asAccepted(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (name, field: unknown) =>
    name === '__proto__' ? undefined : field,
  );
}
