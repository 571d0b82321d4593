/** A SmallMap is a Map, whatever is done to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SmallMap } from '#kit/small-map.ts';

const key = fc.constantFrom('a', 'b', 'c');
const step = fc.oneof(
  fc.record({ do: fc.constant('set' as const), key, value: fc.option(fc.nat(9), { nil: undefined }) }),
  fc.record({ do: fc.constant('delete' as const), key }),
);

test('it does what a Map does, in the same order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const [small, map] = [
        new SmallMap<string, number | undefined>(),
        new Map<string, number | undefined>(),
      ];
      for (const next of steps) {
        if (next.do === 'delete') [small, map].map((one) => one.delete(next.key));
        else [small, map].map((one) => one.set(next.key, next.value));
        assert.equal(small.size, map.size);
        assert.deepEqual([...small], [...map]);
        for (const name of ['a', 'b', 'c', 'd']) {
          assert.equal(small.has(name), map.has(name));
          assert.equal(small.get(name), map.get(name));
        }
      }
    }),
  );
});
