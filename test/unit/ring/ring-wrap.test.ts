/** Positions that pass 2^31 and 2^32: int32 arithmetic goes on as if nothing had happened. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { nothing, openPair, patternBytes, readCopies, wrapPositions } from './ring-pair.ts';

for (const startPosition of wrapPositions) {
  test(`[RNG3] records keep order and bytes when positions pass from ${startPosition}`, () => {
    const { writer, reader } = openPair(4096, startPosition);
    const random = seededRandom(startPosition);
    let nextRead = 0;
    for (let index = 0; index < 500; index++) {
      const size = (seed: number) => (seed * 37) % 505;
      assert.equal(writer.tryWrite(nothing, patternBytes(size(index), index)), 'written', `record ${index}`);
      assert.ok(writer.usedBytes > 0 && writer.usedBytes <= 4096, `used ${writer.usedBytes}`);
      assert.equal(reader.unreadBytes, writer.usedBytes);
      if (random.next() < 0.5 && writer.usedBytes < 2048) continue;
      for (const record of readCopies(reader)) {
        assert.deepEqual(record, patternBytes(size(nextRead), nextRead), `record ${nextRead}`);
        nextRead++;
      }
    }
    nextRead += readCopies(reader).length;
    assert.equal(nextRead, 500);
    assert.equal(writer.usedBytes, 0);
    assert.equal(reader.isEmpty, true);
  });

  test(`a full ring refuses while positions pass from ${startPosition}`, () => {
    const { writer, reader } = openPair(4096, startPosition);
    let written = 0;
    while (written < 100 && writer.tryWrite(nothing, patternBytes(120, written)) === 'written') written++;
    assert.ok(written >= 31 && written <= 32, `${written} of 32`);
    assert.equal(reader.tryArm(), false);
    assert.deepEqual(
      readCopies(reader),
      Array.from({ length: written }, (_, index) => patternBytes(120, index)),
    );
    assert.equal(reader.tryArm(), true);
  });
}
