/** Bytes of a client → refusals: the code, the words, and the id that the reply needs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodings } from '#proto/envelope.ts';
import type { ErrorCode } from '#proto/error-codes.ts';
import { type Decoded, decodeFrame } from '../../../src/wire/decode-frame.ts';
import { bytes, pack } from './msgpack-bytes.ts';

type Refused = Decoded & { ok: false };

/** The one refusal of a frame that is the same in both encodings. */
function refusedBoth(value: unknown): Refused {
  const [json] = decodeFrame(Buffer.from(JSON.stringify(value)), 'json');
  const [msgpack] = decodeFrame(pack(value), 'msgpack');
  assert.deepEqual(json, msgpack);
  assert.equal(json!.ok, false, JSON.stringify(value));
  return json as Refused;
}

const wrongFields: [type: string, data: unknown, code: ErrorCode, message: RegExp][] = [
  ['Auth', {}, 'bad_request', /^data\.token is required$/],
  ['Auth', { token: 5 }, 'bad_request', /^data\.token must be string$/],
  ['Auth', { token: '' }, 'bad_request', /^data\.token must not have fewer than 1/],
  ['Subscribe', {}, 'bad_request', /^data\.topic is required$/],
  ['Subscribe', { topic: null }, 'invalid_topic', /^data\.topic must be string$/],
  ['Subscribe', { topic: '' }, 'invalid_topic', /^data\.topic must match/],
  ['Subscribe', { topic: 'two words' }, 'invalid_topic', /^data\.topic must match/],
  ['Subscribe', { topic: 'line\n' }, 'invalid_topic', /^data\.topic must match/],
  ['Subscribe', { topic: 'a|b' }, 'invalid_topic', /^data\.topic must match/],
  ['Subscribe', { topic: 'ü' }, 'invalid_topic', /^data\.topic must match/],
  ['Subscribe', { topic: 't'.repeat(129) }, 'invalid_topic', /^data\.topic must match/],
  ['Subscribe', { topic: 'a', since: 5 }, 'bad_request', /^data\.since must be object$/],
  ['Subscribe', { topic: 'a', since: {} }, 'bad_request', /^data\.since\.offset is required$/],
  ['Subscribe', { topic: 'a', since: { offset: 1 } }, 'bad_request', /^data\.since\.epoch is required$/],
  [
    'Subscribe',
    { topic: 'a', since: { offset: -1, epoch: 'e' } },
    'bad_request',
    /^data\.since\.offset must be >= 0$/,
  ],
  [
    'Subscribe',
    { topic: 'a', since: { offset: 1.5, epoch: 'e' } },
    'bad_request',
    /^data\.since\.offset must be integer$/,
  ],
  [
    'Subscribe',
    { topic: 'a', since: { offset: 1, epoch: '' } },
    'bad_request',
    /^data\.since\.epoch must not/,
  ],
  ['Subscribe', { topic: 'a', filter: 'x' }, 'invalid_filter', /^data\.filter must be object$/],
  ['Subscribe', { topic: 'a', filter: [] }, 'invalid_filter', /^data\.filter must be object$/],
  [
    'Subscribe',
    { topic: 'a', filter: manyKeys(17) },
    'invalid_filter',
    /^data\.filter must not have more than 16/,
  ],
  ['Unsubscribe', { topic: 7 }, 'invalid_topic', /^data\.topic must be string$/],
  ['Broadcast', { topic: 'a' }, 'bad_request', /^data\.payload is required$/],
  ['Broadcast', { topic: 'a b', payload: 1 }, 'invalid_topic', /^data\.topic must match/],
  ['Broadcast', { payload: 1, event: '' }, 'bad_request', /^data\.event must not have fewer than 1/],
  [
    'Broadcast',
    { payload: 1, event: 'e'.repeat(129) },
    'bad_request',
    /^data\.event must not have more than 128/,
  ],
  [
    'Broadcast',
    { payload: 1, priority: 'urgent' },
    'bad_request',
    /^data\.priority must be one of low, normal, high, critical$/,
  ],
  ['Broadcast', { payload: 1, ttlMs: 0 }, 'bad_request', /^data\.ttlMs must be >= 1$/],
  ['Broadcast', { payload: 1, ttlMs: '1s' }, 'bad_request', /^data\.ttlMs must be integer$/],
  ['Broadcast', { payload: 1, key: '' }, 'bad_request', /^data\.key must not have fewer than 1/],
  ['Broadcast', { payload: 1, key: 'k'.repeat(65) }, 'bad_request', /^data\.key must not have more than 64/],
  ['DirectMessage', { payload: 1 }, 'bad_request', /^data\.to is required$/],
  ['DirectMessage', { to: 'no spaces', payload: 1 }, 'bad_request', /^data\.to must match/],
  ['DirectMessage', { to: 'ann' }, 'bad_request', /^data\.payload is required$/],
];

test('a wrong field is named, keeps the id and the command, and is still an envelope', () => {
  for (const [type, data, code, message] of wrongFields) {
    const { refusal, ...rest } = refusedBoth({ type, id: 'c1', data });
    assert.deepEqual(rest, { ok: false, isEnvelope: true, id: 'c1', op: type });
    assert.equal(refusal.code, code, `${type} ${JSON.stringify(data)}: ${refusal.message}`);
    assert.match(refusal.message, message);
  }
});

test('without an id the refusal has none', () => {
  assert.equal('id' in refusedBoth({ type: 'Subscribe', data: {} }), false);
  assert.equal('id' in refusedBoth({ type: 'Nope' }), false);
});

test('an unknown type is told with its name; names of Object.prototype are unknown too', () => {
  for (const type of [
    'Nope',
    'ping',
    'Ping ',
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    '"\n',
  ]) {
    const { refusal, op, id, isEnvelope } = refusedBoth({ type, id: 'c1', data: {} });
    assert.deepEqual({ op, id, isEnvelope }, { op: type, id: 'c1', isEnvelope: true });
    assert.deepEqual(refusal, { code: 'unknown_type', message: `type ${JSON.stringify(type)} is not known` });
  }
});

test('what is no envelope is told why, and keeps a usable id', () => {
  const cases: [value: unknown, id: string | undefined, message: RegExp][] = [
    [null, undefined, /^the envelope must be object$/],
    [5, undefined, /^the envelope must be object$/],
    ['text', undefined, /^the envelope must be object$/],
    [[[]], undefined, /^the envelope must be object$/],
    [{}, undefined, /^type is required$/],
    [{ id: 'c1' }, 'c1', /^type is required$/],
    [{ type: 5, id: 'c1' }, 'c1', /^type must be string$/],
    [{ type: '', id: 'c1' }, 'c1', /^type must not have fewer than 1/],
    [{ type: 'T'.repeat(65), id: 'c1' }, 'c1', /^type must not have more than 64/],
    [{ type: 'Ping', id: 'c1', data: [] }, 'c1', /^data must be object$/],
    [{ type: 'Ping', id: 'c1', data: null }, 'c1', /^data must be object$/],
    [{ type: 'Ping', id: 'c1', data: 'x' }, 'c1', /^data must be object$/],
    [{ type: 'Ping', id: '' }, undefined, /^id must not have fewer than 1/],
    [{ type: 'Ping', id: 'i'.repeat(65) }, undefined, /^id must not have more than 64/],
    [{ type: 'Ping', id: 5 }, undefined, /^id must be string$/],
    [{ type: 'Ping', id: null }, undefined, /^id must be string$/],
    [{ type: 'Ping', id: ['c1'] }, undefined, /^id must be string$/],
  ];
  for (const [value, id, message] of cases) {
    const refused = refusedBoth(value);
    assert.equal(refused.isEnvelope, false, JSON.stringify(value));
    assert.equal(refused.refusal.code, 'bad_request');
    assert.match(refused.refusal.message, message);
    assert.equal(refused.id, id, JSON.stringify(value));
  }
});

test('an id of sixty-four characters of any kind comes back in a refusal', () => {
  const id = '😀'.repeat(64);
  assert.ok(decodeFrame(Buffer.from(JSON.stringify({ type: 'Ping', id })), 'json')[0]!.ok);
  assert.equal(refusedBoth({ id }).id, id);
});

test('bytes that are not the encoding at all are refused as such', () => {
  for (const text of [
    '',
    ' ',
    '{',
    '{"type":"Ping"',
    "{'type':'Ping'}",
    '{"type":"Ping"}x',
    'undefined',
    '\ufeff{"type":"Ping"}',
    'NaN',
  ]) {
    assertNotAnEnvelope(decodeFrame(Buffer.from(text), 'json'), 'not json');
  }
  assertNotAnEnvelope(decodeFrame(Buffer.alloc(0), 'msgpack'), undefined);
  assertNotAnEnvelope(decodeFrame(Buffer.from('{"type":"Ping"}'), 'msgpack'), undefined);
  assertNotAnEnvelope(decodeFrame(pack({ type: 'Ping' }), 'json'), 'not json');
});

test('the reason of a scan is passed on', () => {
  assertNotAnEnvelope(
    decodeFrame(bytes(0xc1), 'msgpack'),
    'msgpack: type 0xc1 is not taken; extensions are refused',
  );
  const deep = Buffer.from(`{"type":"Ping","data":${'[1,'.repeat(30)}1${']'.repeat(30)}}`);
  assertNotAnEnvelope(decodeFrame(deep, 'json'), 'nested deeper than 16');
  const polluting = Buffer.from('{"type":"Ping","data":{"__proto__":{"polluted":1}}}');
  assertNotAnEnvelope(decodeFrame(polluting, 'json'), 'the key "__proto__" is refused');
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test('the same bounds hold in both encodings: a number that overflows is refused in JSON as well', () => {
  const frame = Buffer.from('{"type":"Broadcast","data":{"topic":"a","payload":1e999}}');
  assert.equal(decodeFrame(frame, 'json')[0]!.ok, false);
});

test('bin is a payload, never a map: as data it is refused', () => {
  assert.equal(decodeFrame(pack({ type: 'Ping', data: Buffer.from([1, 2]) }), 'msgpack')[0]!.ok, false);
});

test('bin as a filter is refused where frames are decoded', () => {
  const subscribe = { type: 'Subscribe', data: { topic: 'a', filter: Buffer.from([1]) } };
  assert.equal(decodeFrame(pack(subscribe), 'msgpack')[0]!.ok, false);
});

test('a JSON frame that is not UTF-8 is decoded with replacement characters, not refused with an exception', () => {
  for (const encoding of encodings) {
    const frame = bytes('{"type":"Pi', 0xff, 0xfe, 'ng"}');
    assert.equal(decodeFrame(frame, encoding)[0]!.ok, false);
  }
});

function assertNotAnEnvelope(decoded: Decoded[], message: string | undefined): void {
  assert.equal(decoded.length, 1);
  const refused = decoded[0] as Refused;
  assert.equal(refused.ok, false);
  assert.equal(refused.isEnvelope, false);
  assert.equal(refused.refusal.code, 'bad_request');
  if (message !== undefined) assert.equal(refused.refusal.message, message);
}

function manyKeys(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1]));
}
