/** Server-side frames, held byte for byte against what ws itself would send. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as ws from 'ws';
import { frameBinary, frameText } from '../../../src/wire/websocket-frame.ts';
import { patternBytes } from '../ring/ring-pair.ts';

/** Exported by ws, missing in its types. */
const { Sender } = ws as unknown as {
  Sender: {
    frame(data: Buffer, options: { fin: boolean; opcode: number; mask: boolean; rsv1: boolean }): Buffer[];
  };
};
const opcodes = { text: 1, binary: 2 };
const byWs = (data: Buffer, kind: keyof typeof opcodes) =>
  Buffer.concat(Sender.frame(data, { fin: true, opcode: opcodes[kind], mask: false, rsv1: false }));

const lengths = [0, 1, 2, 125, 126, 127, 255, 256, 65_534, 65_535, 65_536, 70_000];

for (const length of lengths) {
  test(`a text frame of ${length} bytes is what ws would send`, () => {
    const text = 'abcdefghij'.repeat(length / 10 + 1).slice(0, length);
    assert.ok(frameText(text).equals(byWs(Buffer.from(text), 'text')));
  });

  test(`a binary frame of ${length} bytes is what ws would send`, () => {
    const content = patternBytes(length, 3);
    assert.ok(frameBinary(content).equals(byWs(content, 'binary')));
  });
}

test('the length of a text frame is counted in bytes, not characters', () => {
  for (const text of [
    'ü',
    '€',
    '😀',
    '😀'.repeat(31),
    `${'€'.repeat(41)}ab`,
    '€'.repeat(42),
    'ü'.repeat(32_768),
  ]) {
    assert.ok(frameText(text).equals(byWs(Buffer.from(text), 'text')), `${text.length} characters`);
  }
});

test('a lone surrogate still gives a frame of the announced length', () => {
  for (const text of ['\ud800', 'a\udc00b', '\ud800\ud800']) {
    assert.ok(frameText(text).equals(byWs(Buffer.from(text), 'text')));
  }
});

test('the parts of a binary frame are joined in order, empty ones included', () => {
  const cases = [[], [[]], [[1], [2]], [[], [1, 2], [], [3]], [Array(100).fill(7), Array(30).fill(8)]];
  for (const parts of cases) {
    const frame = frameBinary(...parts.map((part) => Uint8Array.from(part)));
    assert.ok(frame.equals(byWs(Buffer.from(parts.flat()), 'binary')), JSON.stringify(parts));
  }
});

test('a frame owns its bytes: the parts may be overwritten afterwards', () => {
  const part = Buffer.from([1, 2, 3]);
  const frame = frameBinary(part);
  part.fill(9);
  assert.deepEqual([...frame], [0x82, 3, 1, 2, 3]);
});
