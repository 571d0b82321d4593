/** Which shard is home to a name: the same everywhere, evenly spread, and hardly moved when shards are added. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { HashRing } from '../../../src/routing/hash-ring.ts';

const names = Array.from({ length: 20_000 }, (_, index) => `default|topic:${index}`);

test('a shard of the ring is named, whatever the name', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 256 }), (name, shardCount) => {
      const shard = new HashRing(shardCount).shardOf(name);
      assert.ok(Number.isInteger(shard) && shard >= 0 && shard < shardCount, `${shard} of ${shardCount}`);
    }),
  );
});

test('two rings of the same size agree on every name', () => {
  const one = new HashRing(7);
  const other = new HashRing(7);
  for (const name of names.slice(0, 2000)) assert.equal(one.shardOf(name), other.shardOf(name));
});

test('homes are the same in every release, so that nodes of two releases agree', () => {
  const ring = new HashRing(8);
  const known = { 'default|chat:lobby': 4, 'default|ann': 2, 'acme|chat:lobby': 4, '': 4 };
  const homes = Object.fromEntries(Object.keys(known).map((name) => [name, ring.shardOf(name)]));
  assert.deepEqual(homes, known);
});

for (const shardCount of [2, 3, 8, 64]) {
  test(`${names.length} names that differ in a number only spread evenly over ${shardCount} shards`, () => {
    const ring = new HashRing(shardCount);
    const counts = Array.from({ length: shardCount }, () => 0);
    for (const name of names) counts[ring.shardOf(name)]!++;
    const mean = names.length / shardCount;
    // Five standard deviations of a fair spread.
    const slack = 5 * Math.sqrt(mean);
    for (const count of counts) assert.ok(Math.abs(count - mean) <= slack, counts.join(' '));
  });
}

test('a shard that is added takes its share, and only it: every other name stays', () => {
  for (const shardCount of [1, 2, 7, 31]) {
    const before = new HashRing(shardCount);
    const after = new HashRing(shardCount + 1);
    const moved = names.filter((name) => before.shardOf(name) !== after.shardOf(name));
    for (const name of moved) assert.equal(after.shardOf(name), shardCount, name);
    const share = names.length / (shardCount + 1);
    assert.ok(
      Math.abs(moved.length - share) <= 5 * Math.sqrt(share),
      `${moved.length} of ${names.length} moved`,
    );
  }
});

test('preferences name every shard once, the home first', () => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 32 }), (name, shardCount) => {
      const ring = new HashRing(shardCount);
      const shards = ring.shardsByPreference(name);
      assert.equal(shards[0], ring.shardOf(name));
      assert.deepEqual(
        [...shards].sort((a, b) => a - b),
        Array.from({ length: shardCount }, (_, shard) => shard),
      );
    }),
  );
});

test('the second choice of names with one home is spread, too', () => {
  const ring = new HashRing(4);
  const seconds = names
    .filter((name) => ring.shardOf(name) === 0)
    .map((name) => ring.shardsByPreference(name)[1]);
  for (const shard of [1, 2, 3]) {
    const share = seconds.filter((second) => second === shard).length;
    assert.ok(share > seconds.length / 4, `${share} of ${seconds.length}`);
  }
});

test('a ring without a shard is a bug', () => {
  assert.throws(() => new HashRing(0), /at least one shard/);
});
