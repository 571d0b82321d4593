/** Payloads: passed on as they are, converted at most once to each other form. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Payload } from '../../../src/wire/payload.ts';
import { pack } from './msgpack-bytes.ts';

test('the value that came in is the value, not a copy', () => {
  const value = { a: [1, { b: 2 }] };
  assert.equal(Payload.ofValue(value).value, value);
});

test('msgpack that came in is passed on as the same bytes', () => {
  const owned = pack({ a: 1 });
  const payload = Payload.ofMsgpack(owned);
  assert.equal(payload.msgpack, owned);
  assert.deepEqual(payload.value, { a: 1 });
  assert.equal(payload.msgpack, owned);
});

test('each form is made once', () => {
  const payload = Payload.ofValue({ a: 1 });
  assert.equal(payload.msgpack, payload.msgpack);
  const fromBytes = Payload.ofMsgpack(pack({ a: 1 }));
  assert.equal(fromBytes.value, fromBytes.value);
});

test('every JSON value survives the way over msgpack', () => {
  const values: unknown[] = [
    null,
    true,
    false,
    0,
    -0.5,
    2 ** 53 - 1,
    -(2 ** 53 - 1),
    1e300,
    '',
    'ü€😀\u0000\u2028',
    [],
    {},
    [[[]]],
    { '': '', constructor: 1, a: { b: [null, { c: 'd' }] } },
    Array.from({ length: 70_000 }, (_, index) => index),
    'x'.repeat(70_000),
  ];
  for (const value of values) {
    const received = Payload.ofMsgpack(Payload.ofValue(value).msgpack);
    assert.deepEqual(received.value, value);
    assert.equal(received.json, JSON.stringify(value));
  }
});

test('a payload that is undefined is null in both forms', () => {
  const payload = Payload.ofValue(undefined);
  assert.equal(payload.json, 'null');
  assert.equal(Payload.ofMsgpack(payload.msgpack).value, null);
});

test('bin becomes base64 in JSON, at the top and deep inside, and stays bin in msgpack', () => {
  const bin = Buffer.from([0, 1, 2, 253, 254, 255]);
  const text = bin.toString('base64');
  const cases: [value: unknown, json: unknown][] = [
    [bin, text],
    [new Uint8Array(bin), text],
    [Buffer.alloc(0), ''],
    [
      [1, bin, [bin]],
      [1, text, [text]],
    ],
    [
      { a: bin, b: { c: [{ d: bin }], e: 1 } },
      { a: text, b: { c: [{ d: text }], e: 1 } },
    ],
  ];
  for (const [value, json] of cases) {
    for (const payload of [Payload.ofValue(value), Payload.ofMsgpack(pack(value))]) {
      assert.deepEqual(JSON.parse(payload.json), json);
      assert.deepEqual(
        Payload.ofMsgpack(payload.msgpack).value,
        value instanceof Uint8Array ? Buffer.from(value) : value,
      );
    }
  }
});

test('only the bytes of the bin itself are taken, not those around it', () => {
  const around = Buffer.from('....hello....');
  assert.equal(
    Payload.ofValue(around.subarray(4, 9)).json,
    JSON.stringify(Buffer.from('hello').toString('base64')),
  );
});

test('a conversion changes nothing of the value that it reads', () => {
  const bin = Buffer.from([1, 2]);
  const value = { a: [bin, { b: bin }], c: { d: 1 } };
  const payload = Payload.ofValue(value);
  void payload.json;
  assert.deepEqual(payload.value, { a: [Buffer.from([1, 2]), { b: Buffer.from([1, 2]) }], c: { d: 1 } });
  assert.equal(payload.value, value);
});

test('without bin nothing is copied on the way to JSON: the text is made of the very value', () => {
  // JSON.stringify calls toJSON on the object that it is given: a copy would not have it.
  let calls = 0;
  const marked = (value: object) =>
    Object.defineProperty(value, 'toJSON', {
      enumerable: false,
      value: () => {
        calls++;
        return 'the very object';
      },
    });
  const value = { untouched: marked({ a: [1, 2] }), list: [marked({ b: { c: 1 } })] };
  assert.equal(Payload.ofValue(value).json, '{"untouched":"the very object","list":["the very object"]}');
  const mixed = { untouched: marked({ a: [1, 2] }), bin: Buffer.from([1]) };
  assert.equal(Payload.ofValue(mixed).json, '{"untouched":"the very object","bin":"AQ=="}');
  assert.equal(calls, 3);
});

test('a key __proto__ cannot come out of a conversion as a prototype', () => {
  const value = JSON.parse('{"__proto__":{"polluted":1},"bin":0}') as Record<string, unknown>;
  value['bin'] = Buffer.from([1]);
  const json = Payload.ofValue(value).json;
  assert.equal((JSON.parse(json) as { polluted?: unknown }).polluted, undefined);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});
