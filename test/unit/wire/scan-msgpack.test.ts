/** The scan in front of the msgpack decoder: what it lets pass, opcode by opcode. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { unpackMsgpack } from '../../../src/wire/codec.ts';
import { scanMsgpack } from '../../../src/wire/scan-msgpack.ts';
import {
  bytes,
  float32,
  float64,
  nestedArrays,
  nestedMaps,
  pack,
  uint16,
  uint32,
  uint64,
} from './msgpack-bytes.ts';

/** One value of every form that passes, and what the decoder makes of it. */
const accepted: [name: string, frame: Buffer, value: unknown][] = [
  ['fixint 0', bytes(0x00), 0],
  ['fixint 127', bytes(0x7f), 127],
  ['negative fixint -1', bytes(0xff), -1],
  ['negative fixint -32', bytes(0xe0), -32],
  ['nil', bytes(0xc0), null],
  ['false', bytes(0xc2), false],
  ['true', bytes(0xc3), true],
  ['bin 8', bytes(0xc4, 2, 1, 2), Buffer.from([1, 2])],
  ['bin 16', bytes(0xc5, uint16(2), 1, 2), Buffer.from([1, 2])],
  ['bin 32', bytes(0xc6, uint32(2), 1, 2), Buffer.from([1, 2])],
  ['empty bin', bytes(0xc4, 0), Buffer.alloc(0)],
  ['float 32', bytes(0xca, float32(1.5)), 1.5],
  ['float 64', bytes(0xcb, float64(Math.PI)), Math.PI],
  ['uint 8', bytes(0xcc, 200), 200],
  ['uint 16', bytes(0xcd, uint16(60_000)), 60_000],
  ['uint 32', bytes(0xce, uint32(4_000_000_000)), 4_000_000_000],
  ['uint 64 at 2^53-1', bytes(0xcf, uint64(2n ** 53n - 1n)), 2 ** 53 - 1],
  ['int 8', bytes(0xd0, 0x80), -128],
  ['int 16', bytes(0xd1, 0x80, 0x00), -32_768],
  ['int 32', bytes(0xd2, 0x80, 0, 0, 0), -2_147_483_648],
  ['int 64 at -(2^53-1)', bytes(0xd3, uint64(-(2n ** 53n - 1n))), -(2 ** 53 - 1)],
  ['fixstr', bytes(0xa2, 'hi'), 'hi'],
  ['empty fixstr', bytes(0xa0), ''],
  ['str 8', bytes(0xd9, 2, 'hi'), 'hi'],
  ['str 16', bytes(0xda, uint16(2), 'hi'), 'hi'],
  ['str 32', bytes(0xdb, uint32(2), 'hi'), 'hi'],
  ['fixarray', bytes(0x92, 1, 2), [1, 2]],
  ['empty fixarray', bytes(0x90), []],
  ['array 16', bytes(0xdc, uint16(2), 1, 2), [1, 2]],
  ['array 32', bytes(0xdd, uint32(2), 1, 2), [1, 2]],
  ['fixmap', bytes(0x81, 0xa1, 'a', 1), { a: 1 }],
  ['empty fixmap', bytes(0x80), {}],
  ['map 16', bytes(0xde, uint16(1), 0xa1, 'a', 1), { a: 1 }],
  ['map 32', bytes(0xdf, uint32(1), 0xa1, 'a', 1), { a: 1 }],
  ['key as str 8', bytes(0x81, 0xd9, 1, 'a', 1), { a: 1 }],
  ['key as str 16', bytes(0x81, 0xda, uint16(1), 'a', 1), { a: 1 }],
  ['empty key', bytes(0x81, 0xa0, 1), { '': 1 }],
];

for (const [name, frame, value] of accepted) {
  test(`${name} passes, and is decoded to what it says`, () => {
    scanMsgpack(frame);
    const decoded = unpackMsgpack(frame);
    assert.deepEqual(value instanceof Buffer ? Buffer.from(decoded as Uint8Array) : decoded, value);
  });
}

test('every byte that can begin a value is either taken or refused, none is overlooked', () => {
  const taken = new Set(accepted.map(([, frame]) => frame[0]!));
  const refusedOpcodes = new Set([0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8]);
  for (let opcode = 0xc0; opcode <= 0xdf; opcode++) {
    assert.equal(taken.has(opcode), !refusedOpcodes.has(opcode), `0x${opcode.toString(16)}`);
  }
});

test('sixteen levels pass in arrays and in maps; a binary value at the bottom is none', () => {
  scanMsgpack(nestedArrays(16));
  scanMsgpack(nestedMaps(16));
  scanMsgpack(bytes(Buffer.alloc(16, 0x91), 0xc4, 1, 7));
});

test('a frame that is a view into a larger buffer is read from its own start to its own end', () => {
  const frame = pack({ a: [1, 2.5, 'x', 2 ** 40], b: { c: null } });
  const around = bytes(0xc1, 0xc1, 0xc1, frame, 0xc1);
  scanMsgpack(around.subarray(3, 3 + frame.length));
  scanMsgpack(new Uint8Array(around.buffer, around.byteOffset + 3, frame.length));
});

/** What JSON can say, within the protocol's depth, and bytes. */
const { value: anyValue } = fc.letrec((tie) => ({
  scalar: fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.maxSafeInteger(),
    // -0 is packed as 0, as JSON.stringify writes it.
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  ),
  value: fc.oneof(
    { maxDepth: 14 },
    tie('scalar'),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string().filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
}));

test('whatever an encoder writes of JSON values and bytes passes, and is decoded to the same', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const frame = pack(value);
      scanMsgpack(frame);
      assert.deepEqual(unpackMsgpack(frame), value);
    }),
    { numRuns: 500 },
  );
});
