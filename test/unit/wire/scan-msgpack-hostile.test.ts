/** The scan in front of the msgpack decoder: what it refuses, and that refusing is cheap (reliability reference, 2.1). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Packr } from 'msgpackr';
import { seededRandom } from '#kit/random.ts';
import { scanMsgpack } from '../../../src/wire/scan-msgpack.ts';
import { WireError } from '../../../src/wire/wire-error.ts';
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

function assertRefused(frame: Uint8Array, reason: RegExp, name = ''): void {
  assert.throws(
    () => scanMsgpack(frame),
    (error: Error) => error instanceof WireError && reason.test(error.message),
    `${name} ${Buffer.from(frame.subarray(0, 64)).toString('hex')}`,
  );
}

test('0xc1, which msgpack never uses, is refused everywhere', () => {
  assertRefused(bytes(0xc1), /0xc1/);
  assertRefused(bytes(0x91, 0xc1), /0xc1/);
  assertRefused(bytes(0x81, 0xa1, 'a', 0xc1), /0xc1/);
  assertRefused(bytes(0x81, 0xc1, 0x01), /keys must be strings/);
});

test('extensions of every size and type are refused, the timestamp too', () => {
  for (let type = 0; type < 256; type++) {
    const extensions = [
      bytes(0xd4, type, 0),
      bytes(0xd5, type, 0, 0),
      bytes(0xd6, type, Buffer.alloc(4)),
      bytes(0xd7, type, Buffer.alloc(8)),
      bytes(0xd8, type, Buffer.alloc(16)),
      bytes(0xc7, 1, type, 0),
      bytes(0xc8, uint16(1), type, 0),
      bytes(0xc9, uint32(1), type, 0),
    ];
    for (const extension of extensions) {
      assertRefused(extension, /extensions are refused/, `type ${type}`);
      assertRefused(bytes(0x81, 0xa1, 'a', extension), /extensions are refused/, `type ${type} inside`);
      assertRefused(bytes(0x81, extension, 1), /keys must be strings/, `type ${type} as a key`);
    }
  }
});

test('what msgpackr writes beyond msgpack is refused: records, references, Set, RegExp, Error, Date, bigint', () => {
  const rich = new Packr({ structuredClone: true, moreTypes: true });
  const shared = { a: 1 };
  const cases: [string, Uint8Array][] = [
    ['record', new Packr({ useRecords: true }).pack({ topic: 'a', payload: 1 })],
    ['two references to one object', rich.pack([shared, shared])],
    ['Set', rich.pack(new Set([1]))],
    ['Map', rich.pack(new Map([[1, 2]]))],
    ['RegExp', rich.pack(/(a+)+$/)],
    ['Error', rich.pack(new Error('x'))],
    ['Date', rich.pack(new Date(0))],
    ['bigint', rich.pack(2n ** 70n)],
    ['typed array', rich.pack(new Float64Array([1, 2]))],
    ['undefined', rich.pack(undefined)],
    ['bundled strings', new Packr({ bundleStrings: true }).pack([{ a: 'x'.repeat(50), b: 'y'.repeat(50) }])],
  ];
  for (const [name, frame] of cases)
    assertRefused(frame, /extensions are refused|keys must be strings/, name);
});

test('the pointer bomb of 288 bytes is refused before it is decoded', () => {
  // [id 0: [], id 1: [ref 0, ref 0], id 2: [ref 1, ref 1], ...]: 2^22 leaves when walked.
  const level = (index: number) =>
    bytes(
      0xd6,
      0x69,
      uint32(index),
      index === 0 ? 0x90 : bytes(0x92, pointer(index - 1), pointer(index - 1)),
    );
  const pointer = (index: number) => bytes(0xd6, 0x70, uint32(index));
  const bomb = bytes(0xdc, uint16(23), ...Array.from({ length: 23 }, (_, index) => level(index)));
  assertRefused(bomb, /extensions are refused/);
  assertRefused(bytes(0x81, 0xa4, 'data', bomb), /extensions are refused/);
});

test('a record definition is refused, which would make the decoder compile code', () => {
  assertRefused(
    bytes(0xd4, 0x72, 0x40, 0x93, 0xa1, 'a', 0xa1, 'b', 0xa1, 'c', 1, 2, 3),
    /extensions are refused/,
  );
});

test('headers that announce more than the bytes left are refused, whatever they announce', () => {
  for (const count of [2, 100, 65_535]) {
    assertRefused(bytes(0xdc, uint16(count), 0xc0), /more values announced/);
    assertRefused(bytes(0xde, uint16(count), 0xa1, 'a', 0xc0), /more values announced/);
  }
  for (const count of [2, 0x01c9c380, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
    assertRefused(bytes(0xdd, uint32(count), 0xc0), /more values announced/, `array of ${count}`);
    assertRefused(
      bytes(0xdf, uint32(count), 0xa1, 'a', 0xc0),
      /more values announced|ends early/,
      `map of ${count}`,
    );
    assertRefused(bytes(0xc6, uint32(count), 1), /./, `bin of ${count}`);
    assertRefused(bytes(0xdb, uint32(count), 'a'), /./, `str of ${count}`);
  }
  assertRefused(bytes(0xdd, uint32(0x01c9c380)), /more values announced/, 'the 5 byte frame of 240 MB');
  const nested = bytes(...Array.from({ length: 1000 }, () => bytes(0xdd, uint32(1000))));
  assertRefused(nested, /nested deeper|more values announced/, 'five kilobytes of headers');
});

test('the seventeenth level below the array of a frame is refused, in arrays, in maps and in both; ten thousand levels cost nothing', () => {
  for (const depth of [17, 100, 10_000]) {
    assertRefused(nestedArrays(depth + 1), /nested deeper than 16/, `arrays ${depth}`);
    assertRefused(nestedMaps(depth), /nested deeper than 16/, `maps ${depth}`);
  }
  assertRefused(bytes(Buffer.alloc(16, 0x91), nestedMaps(2)), /nested deeper than 16/);
  assertRefused(Buffer.alloc(65_536, 0x91), /nested deeper than 16/);
});

test('the key __proto__ is refused in every form and depth; near names pass', () => {
  const key = '__proto__';
  const forms = [bytes(0xa9, key), bytes(0xd9, 9, key), bytes(0xda, uint16(9), key)];
  for (const form of forms) {
    assertRefused(bytes(0x81, form, 1), /__proto__/);
    assertRefused(bytes(0x91, bytes(0x82, 0xa1, 'a', 1, form, 0x80)), /__proto__/);
  }
  for (const near of ['__proto_', '__proto___', '__PROTO__', 'constructor', 'prototype'])
    scanMsgpack(pack({ [near]: 1 }));
  scanMsgpack(pack(key));
});

test('only strings are keys, and only those of up to 64 KiB', () => {
  const keys = [
    bytes(1),
    bytes(0xff),
    bytes(0xc0),
    bytes(0xc3),
    bytes(0x90),
    bytes(0x80),
    bytes(0xcb, float64(1)),
  ];
  for (const key of [...keys, bytes(0xc4, 1, 1), bytes(0xcf, uint64(1n)), bytes(0xdb, uint32(1), 'a')]) {
    assertRefused(bytes(0x81, key, 1), /keys must be strings/);
  }
});

test('numbers that a double cannot hold, or JSON cannot say, are refused', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    assertRefused(bytes(0xcb, float64(value)), /finite/);
    assertRefused(bytes(0xca, float32(value)), /finite/);
    assertRefused(bytes(0x81, 0xa1, 'a', 0xcb, float64(value)), /finite/);
  }
  assertRefused(bytes(0xcb, Buffer.from('7ff0000000000001', 'hex')), /finite/, 'a signalling NaN');
  for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])
    assertRefused(bytes(0xcf, uint64(value)), /2\^53/);
  for (const value of [2n ** 53n, -(2n ** 53n), -(2n ** 63n)])
    assertRefused(bytes(0xd3, uint64(value)), /2\^53/);
});

test('bytes after the value are refused, and counted', () => {
  assertRefused(bytes(0xc0, 0xc0), /1 bytes after the value/);
  assertRefused(bytes(pack({ a: 1 }), pack({ b: 2 })), /4 bytes after the value/);
});

test('a valid frame cut at any byte is refused', () => {
  const frame = bytes(
    pack({
      type: 'Broadcast',
      id: 'c1',
      data: { topic: 'chat:lobby', payload: [1, -5, 300, 70_000, 2 ** 40, 1.5] },
    }),
  );
  const wide = bytes(
    0xdf,
    uint32(1),
    0xda,
    uint16(1),
    'k',
    0xdd,
    uint32(3),
    0xc6,
    uint32(2),
    1,
    2,
    0xdb,
    uint32(1),
    'x',
    0xca,
    float32(1),
  );
  for (const whole of [frame, wide]) {
    scanMsgpack(whole);
    for (let length = 0; length < whole.length; length++) {
      assertRefused(whole.subarray(0, length), /./, `${length} of ${whole.length}`);
    }
  }
});

test('random bytes pass or are refused with a WireError, nothing else', () => {
  for (let seed = 1; seed <= 20_000; seed++) {
    const random = seededRandom(seed);
    const frame = Buffer.from(Array.from({ length: 1 + random.next() * 60 }, () => random.next() * 256));
    try {
      scanMsgpack(frame);
    } catch (error) {
      assert.ok(error instanceof WireError, `seed ${seed}, ${frame.toString('hex')}: ${String(error)}`);
    }
  }
});
