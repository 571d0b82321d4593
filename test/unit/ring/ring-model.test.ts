/** A ring against a plain queue, under random writes and reads. Failures print fast-check's seed and the shortest case. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { alignedRecordBytes } from '../../../src/ring/record-layout.ts';
import { openPair, patternBytes, readCopies, wrapPositions } from './ring-pair.ts';

type Step =
  | { do: 'write'; head: number; body: number }
  | { do: 'read'; recordsMax: number }
  | { do: 'poison' };

const contentMax = 504;
const size = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: contentMax / 2 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), head: size, body: size }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('read' as const), recordsMax: fc.integer({ min: 0, max: 12 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('poison' as const) }) },
);
const start = fc.oneof(
  fc.constantFrom(...wrapPositions),
  fc.integer({ min: 0, max: 2 ** 29 }).map((eighth) => eighth * 8),
);

test('[RNG1] a ring is a queue: first in, first out, byte for byte, at any position', () => {
  fc.assert(
    fc.property(start, fc.array(step, { minLength: 20, maxLength: 200 }), (startPosition, steps) => {
      const { writer, reader } = openPair(4096, startPosition);
      const queue: Buffer[] = [];
      let seed = 0;
      for (const command of steps) {
        if (command.do === 'write') {
          const record = patternBytes(command.head + command.body, seed++);
          const usedBefore = writer.usedBytes;
          const verdict = writer.tryWrite(record.subarray(0, command.head), record.subarray(command.head));
          if (verdict === 'written') queue.push(record);
          else assert.equal(writer.usedBytes, usedBefore);
          // Padding is less than the record that did not fit before the end.
          const needed = 2 * alignedRecordBytes(record.length) - 8;
          if (verdict === 'full')
            assert.ok(usedBefore + needed > 4096, `refused with ${usedBefore} of 4096 used`);
        } else if (command.do === 'read') {
          const expected = queue.splice(0, command.recordsMax);
          assert.deepEqual(readCopies(reader, command.recordsMax), expected);
        } else if (queue.length > 0) {
          assert.throws(() => reader.read(throwing, 5), /poison/);
          queue.shift();
        }
        assert.equal(reader.isEmpty, queue.length === 0);
        assert.equal(reader.unreadBytes, writer.usedBytes);
        assert.ok(writer.usedBytes >= 0 && writer.usedBytes <= 4096);
      }
      assert.deepEqual(readCopies(reader), queue);
    }),
    { numRuns: 400 },
  );
});

function throwing(): never {
  throw new Error('poison');
}
