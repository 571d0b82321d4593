/** One bucket per key, and never more of them than the bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyedBuckets } from '../../../src/protect/keyed-buckets.ts';

const rate = { permits: 1, intervalMs: 1000, burst: 0 };

test('each key has a rate of its own', () => {
  const buckets = new KeyedBuckets(rate);
  assert.equal(buckets.take('a', 0), 0);
  assert.equal(buckets.take('a', 0), 1000);
  assert.equal(buckets.take('b', 0), 0);
  assert.equal(buckets.take('a', 1000), 0);
});

test('keys named like inherited properties are keys', () => {
  const buckets = new KeyedBuckets(rate);
  for (const key of ['__proto__', 'constructor', '']) {
    assert.equal(buckets.take(key, 0), 0);
    assert.equal(buckets.take(key, 0), 1000);
  }
  assert.equal(buckets.size, 3);
});

test('a flood of keys never passes the bound; the oldest are forgotten', () => {
  const buckets = new KeyedBuckets(rate, 10);
  for (let index = 0; index < 1000; index++) {
    assert.equal(buckets.take(`key-${index}`, 0), 0);
    assert.ok(buckets.size <= 10);
  }
  assert.equal(buckets.take('key-999', 0), 1000, 'the youngest is remembered');
  assert.equal(buckets.take('key-990', 0), 1000, 'the tenth youngest is remembered');
  assert.equal(buckets.take('key-989', 0), 0, 'the eleventh was forgotten and starts afresh');
});

test('a sweep forgets full buckets, and those alone', () => {
  const buckets = new KeyedBuckets(rate);
  buckets.take('old', 0);
  buckets.take('young', 900);
  buckets.sweep(1000);
  assert.equal(buckets.size, 1);
  assert.equal(buckets.take('young', 1000), 900, 'the young one still waits');
  buckets.sweep(10_000);
  assert.equal(buckets.size, 0);
});

test('a sweep looks at no more than it was told to, and the next one at others', () => {
  const buckets = new KeyedBuckets({ permits: 2, intervalMs: 1000, burst: 0 });
  for (let index = 0; index < 10; index++) buckets.take(`full-${index}`, 0);
  buckets.sweep(10_000, 4);
  assert.equal(buckets.size, 6);
  for (let index = 0; index < 4; index++) buckets.take(`busy-${index}`, 10_000);
  buckets.sweep(10_000, 6);
  assert.equal(buckets.size, 4);
});

test('a sweep over busy buckets moves on from one to the next', () => {
  const buckets = new KeyedBuckets(rate);
  for (const key of ['busy-1', 'busy-2', 'busy-3']) buckets.take(key, 0);
  buckets.take('late', 0);
  buckets.sweep(500, 3);
  assert.equal(buckets.size, 4);
  for (const key of ['busy-1', 'busy-2', 'busy-3']) buckets.take(key, 1000);
  buckets.sweep(1000, 1);
  assert.equal(buckets.size, 3, 'the first that the second sweep looks at is the one that the first did not');
});

test('a sweep of nothing does nothing', () => {
  const buckets = new KeyedBuckets(rate);
  buckets.sweep(1e9);
  assert.equal(buckets.size, 0);
});
