/** Reproducible randomness: what every seeded test stands on. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom, systemRandom } from '#kit/random.ts';

const take = (seed: number, count: number) => {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.next());
};

test('the same seed gives the same sequence, in every release', () => {
  assert.deepEqual(take(42, 1000), take(42, 1000));
  assert.deepEqual(take(1, 3), [0.6270739405881613, 0.002735721180215478, 0.5274470399599522]);
});

test('another seed gives another sequence, near seeds included', () => {
  const sequences = new Set(Array.from({ length: 10_000 }, (_, seed) => take(seed, 3).join()));
  assert.equal(sequences.size, 10_000);
});

test('two generators of one seed do not share state', () => {
  const one = seededRandom(7);
  const other = seededRandom(7);
  one.next();
  one.next();
  assert.equal(other.next(), take(7, 1)[0]);
});

test('values lie in [0, 1) and spread evenly', () => {
  for (const random of [seededRandom(3), systemRandom]) {
    const counts = Array.from({ length: 16 }, () => 0);
    for (let index = 0; index < 64_000; index++) {
      const value = random.next();
      assert.ok(value >= 0 && value < 1, `${value}`);
      counts[Math.floor(value * 16)]! += 1;
    }
    for (const count of counts) assert.ok(Math.abs(count - 4000) < 350, counts.join());
  }
});

test('seeds beyond 32 bits, negative and fractional ones are taken', () => {
  for (const seed of [-1, 2 ** 31, 2 ** 40 + 1, 0.5]) {
    for (const value of take(seed, 10)) assert.ok(value >= 0 && value < 1, `seed ${seed}: ${value}`);
  }
});
