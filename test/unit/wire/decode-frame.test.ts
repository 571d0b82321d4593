/** Bytes of a client → validated envelopes: what is taken, in both encodings. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodings } from '#proto/envelope.ts';
import { type Decoded, decodeFrame } from '../../../src/wire/decode-frame.ts';
import { pack } from './msgpack-bytes.ts';

const decodeJson = (value: unknown) => decodeFrame(Buffer.from(JSON.stringify(value)), 'json');
const decodeMsgpack = (value: unknown) => decodeFrame(pack(value), 'msgpack');
const decoders = { json: decodeJson, msgpack: decodeMsgpack };

const ok = (envelope: object): Decoded => ({ ok: true, envelope }) as Decoded;

test('every type is taken with its least and with all of its fields', () => {
  const cases: [type: string, data: object][] = [
    ['Auth', { token: 'a.b.c' }],
    ['Ping', {}],
    ['Ping', { at: 1, list: [1, { deep: true }] }],
    ['Subscribe', { topic: 'chat:lobby' }],
    [
      'Subscribe',
      {
        topic: 'a',
        since: { offset: 0, epoch: 'k3f9' },
        filter: { event: 'deploy', 'payload.n': { gt: 1 } },
      },
    ],
    ['Unsubscribe', { topic: 'a/b.c_d-e@f:G9' }],
    ['Broadcast', { payload: null }],
    ['Broadcast', { topic: 'a', payload: { x: [1] }, event: 'e', priority: 'critical', ttlMs: 1, key: 'k' }],
    ['DirectMessage', { to: 'ann@example.com', payload: 'hi' }],
    ['DirectMessage', { to: 'ann', payload: false, event: 'e', priority: 'low', key: 'k' }],
  ];
  for (const [type, data] of cases) {
    for (const decode of Object.values(decoders)) {
      assert.deepEqual(decode({ type, data }), [ok({ type, data })]);
      assert.deepEqual(decode({ type, id: 'c1', data }), [ok({ type, id: 'c1', data })]);
    }
  }
});

test('data is {} when absent; timestamp and fields around it are ignored', () => {
  for (const decode of Object.values(decoders)) {
    assert.deepEqual(decode({ type: 'Ping' }), [ok({ type: 'Ping', data: {} })]);
    const decoded = decode({ type: 'Ping', id: 'c1', timestamp: 'whatever', extra: [1, 2, 3] });
    assert.deepEqual(decoded, [ok({ type: 'Ping', id: 'c1', data: {} })]);
  }
});

test('an array frame gives one entry per envelope, in order, good and bad side by side', () => {
  const frame = [
    { type: 'Ping', id: 'c1' },
    { type: 'Nope', id: 'c2' },
    7,
    { type: 'Subscribe', id: 'c3', data: {} },
    { type: 'Ping', id: 'c4' },
  ];
  for (const decode of Object.values(decoders)) {
    const decoded = decode(frame);
    assert.deepEqual(
      decoded.map((entry) =>
        entry.ok ? entry.envelope.id : `${entry.refusal.code} ${entry.id} ${entry.isEnvelope}`,
      ),
      ['c1', 'unknown_type c2 true', 'bad_request undefined false', 'bad_request c3 true', 'c4'],
    );
  }
});

test('sixty-four envelopes in a frame are taken; none, or sixty-five, are one refusal', () => {
  const pings = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ type: 'Ping', id: `c${index}` }));
  for (const decode of Object.values(decoders)) {
    const full = decode(pings(64));
    assert.equal(full.length, 64);
    assert.ok(full.every((entry) => entry.ok));
    for (const count of [0, 65, 1000]) {
      const message = `a frame holds 1 to 64 envelopes, not ${count}`;
      assert.deepEqual(decode(pings(count)), [
        { ok: false, isEnvelope: false, refusal: { code: 'bad_request', message } },
      ]);
    }
  }
});

test('both encodings of one envelope decode to the same', () => {
  const envelope = {
    type: 'Broadcast',
    id: 'c1',
    data: {
      topic: 'a',
      payload: { text: 'ü€😀\u0000', n: [0, -1, 1.5, 2 ** 53 - 1], t: true, z: null },
      ttlMs: 5000,
    },
  };
  assert.deepEqual(decodeJson(envelope), decodeMsgpack(envelope));
});

test('the longest allowed names and ids are taken', () => {
  for (const decode of Object.values(decoders)) {
    assert.ok(decode({ type: 'Ping', id: 'i'.repeat(64) })[0]!.ok);
    assert.ok(decode({ type: 'Subscribe', data: { topic: 't'.repeat(128) } })[0]!.ok);
    assert.ok(decode({ type: 'DirectMessage', data: { to: 'u'.repeat(64), payload: 1 } })[0]!.ok);
    assert.ok(
      decode({ type: 'Broadcast', data: { payload: 1, event: 'e'.repeat(128), key: 'k'.repeat(64) } })[0]!.ok,
    );
  }
});

test('a message of sixteen levels is taken, the envelope itself being the first', () => {
  let payload: unknown = 1;
  for (let depth = 3; depth <= 16; depth++) payload = [payload];
  for (const decode of Object.values(decoders)) {
    assert.ok(decode({ type: 'Broadcast', data: { payload } })[0]!.ok);
    assert.equal(decode({ type: 'Broadcast', data: { payload: [payload] } })[0]!.ok, false);
  }
});

test('an envelope of sixteen levels is taken inside an array frame as well', () => {
  let payload: unknown = 1;
  for (let depth = 3; depth <= 16; depth++) payload = [payload];
  for (const decode of Object.values(decoders)) {
    const decoded = decode([{ type: 'Ping' }, { type: 'Broadcast', data: { payload } }]);
    assert.deepEqual(
      decoded.map((entry) => entry.ok),
      [true, true],
    );
  }
});

test('a frame that is a view into a larger buffer is decoded from its own bytes', () => {
  for (const encoding of encodings) {
    const envelope = { type: 'Ping', id: 'c1', data: { a: 1 } };
    const frame = encoding === 'json' ? Buffer.from(JSON.stringify(envelope)) : pack(envelope);
    const around = Buffer.concat([Buffer.alloc(7, 0x91), frame, Buffer.alloc(7, 0x91)]);
    assert.deepEqual(decodeFrame(around.subarray(7, 7 + frame.length), encoding), [ok(envelope)]);
  }
});
