/** Sizes as people write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatByteSize, parseByteSize } from '#kit/byte-size.ts';

test('units are powers of 1024, in either case; a bare number is bytes', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['512', 512],
    ['512b', 512],
    ['64kb', 65_536],
    ['64KB', 65_536],
    ['1mb', 1_048_576],
    ['2Gb', 2_147_483_648],
    [' 1kb ', 1024],
  ];
  for (const [text, bytes] of cases) assert.equal(parseByteSize(text), bytes, text);
});

test('what is not a size is undefined, never a guess', () => {
  for (const text of ['', 'kb', '-1', '+1', '1.5kb', '1 kb', '1k', '1kib', '0x10', '1e3', '1tb', '1kb1']) {
    assert.equal(parseByteSize(text), undefined, JSON.stringify(text));
  }
});

test('a size is written in the largest unit that is exact', () => {
  const cases: [number, string][] = [
    [0, '0b'],
    [1, '1b'],
    [1023, '1023b'],
    [1024, '1kb'],
    [1025, '1025b'],
    [65_536, '64kb'],
    [1_048_576, '1mb'],
    [1_572_864, '1536kb'],
    [3_221_225_472, '3gb'],
  ];
  for (const [bytes, text] of cases) assert.equal(formatByteSize(bytes), text);
});

test('what was written is read back the same', () => {
  for (let bytes = 0; bytes < 2 ** 40; bytes = bytes * 2 + 512) {
    assert.equal(parseByteSize(formatByteSize(bytes)), bytes);
  }
});
