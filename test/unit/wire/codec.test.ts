/** msgpack in and out: plain, owned, and indifferent to what the fields are called. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packMsgpack, unpackMsgpack } from '../../../src/wire/codec.ts';
import { scanMsgpack } from '../../../src/wire/scan-msgpack.ts';
import { pack } from './msgpack-bytes.ts';

test('what is packed is plain msgpack: no records, no references, no extensions', () => {
  const shared = { a: 1 };
  const value = {
    one: shared,
    two: shared,
    list: [shared, [shared]],
    text: 'ü',
    n: 2 ** 40,
    undefined: null,
  };
  for (let use = 0; use < 10; use++) {
    const packed = packMsgpack(value);
    scanMsgpack(packed);
    assert.deepEqual(unpackMsgpack(packed), value);
  }
});

test('packed bytes are owned: packing more does not change them', () => {
  const values = Array.from({ length: 200 }, (_, index) => ({ index, text: 'x'.repeat(index * 7) }));
  const packed = values.map((value) => packMsgpack(value));
  for (const [index, value] of values.entries()) assert.deepEqual(unpackMsgpack(packed[index]!), value);
});

test('undefined is nil', () => {
  assert.deepEqual([...packMsgpack([undefined])], [0x91, 0xc0]);
  assert.deepEqual(unpackMsgpack(packMsgpack({ a: undefined })), { a: null });
});

test('fields may have any name, also one that means something in JavaScript', () => {
  const names = [
    'constructor',
    'prototype',
    'toString',
    'valueOf',
    'hasOwnProperty',
    'length',
    'size',
    'then',
    'buffer',
  ];
  for (const name of names) {
    for (const field of [1, null, 'x', {}, [], { name: 'Map' }]) {
      const value = { [name]: field, other: 1 };
      assert.deepEqual(unpackMsgpack(packMsgpack(value)), value, name);
    }
  }
});

test('a field toJSON beside a field constructor is packed as it is', () => {
  const value = { constructor: 0, toJSON: 1 };
  assert.deepEqual(unpackMsgpack(packMsgpack(value)), value);
});

test('what another packer wrote is read the same', () => {
  const value = { a: [1, -1, 1.5, 'x', true, null], b: { c: Buffer.from([1, 2]) } };
  assert.deepEqual(unpackMsgpack(pack(value)), value);
});

test('bytes that are not msgpack throw', () => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from([0x92, 1]),
    Buffer.from([0xa5, 0x61]),
    Buffer.from([1, 2]),
  ]) {
    assert.throws(() => unpackMsgpack(bytes));
  }
});
