/** Memory of a ring and the place of records in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alignedRecordBytes, prefixBytes } from '../../../src/ring/record-layout.ts';
import {
  allocateRing,
  armedWord,
  controlBytes,
  generationWord,
  headWord,
  openRing,
  ringBytesMax,
  ringBytesMin,
  tailWord,
} from '../../../src/ring/ring-layout.ts';

test('a fresh ring is empty, armed, and knows its generation', () => {
  const { words, data, dataWords, dataBytes, recordBytesMax } = openRing(allocateRing(8192, 3, 64));
  assert.equal(words[headWord], 64);
  assert.equal(words[tailWord], 64);
  assert.equal(words[armedWord], 1);
  assert.equal(words[generationWord], 3);
  assert.equal(dataBytes, 8192);
  assert.equal(data.length, 8192);
  assert.equal(dataWords.length, 2048);
  assert.equal(recordBytesMax, 1024);
  assert.ok(data.every((byte) => byte === 0));
});

test('both ends see the same bytes', () => {
  const shared = allocateRing(4096, 1);
  openRing(shared).data[5] = 77;
  assert.equal(openRing(shared).data[5], 77);
  assert.equal(new Uint8Array(shared)[controlBytes + 5], 77);
});

test('control words lie 128 bytes apart, before the data', () => {
  const words = [headWord, tailWord, armedWord, generationWord];
  for (const [index, word] of words.entries()) assert.equal(word * 4, index * 128);
  assert.ok(controlBytes >= (words.at(-1)! + 1) * 4);
});

test('only powers of two within bounds are rings', () => {
  for (const bytes of [
    0,
    1,
    4095,
    4097,
    6000,
    2048,
    ringBytesMin - 1,
    ringBytesMax * 2,
    -4096,
    Number.NaN,
    4096.5,
  ]) {
    assert.throws(() => allocateRing(bytes, 1), { name: 'AssertionError' }, `${bytes}`);
  }
  assert.equal(allocateRing(ringBytesMin, 1).byteLength, ringBytesMin + controlBytes);
});

test('a start position off the alignment is a bug', () => {
  for (const position of [1, 4, 2 ** 31 - 1]) {
    assert.throws(() => allocateRing(4096, 1, position), { name: 'AssertionError' }, `${position}`);
  }
});

test('a record takes its prefix and content, rounded up to 8 bytes', () => {
  const expected: [number, number][] = [
    [0, 8],
    [1, 16],
    [8, 16],
    [9, 24],
    [504, 512],
    [505, 520],
  ];
  for (const [content, record] of expected) assert.equal(alignedRecordBytes(content), record, `${content}`);
  for (let content = 0; content < 1000; content++) {
    const record = alignedRecordBytes(content);
    assert.ok(record % 8 === 0 && record >= content + prefixBytes && record < content + prefixBytes + 8);
  }
});
