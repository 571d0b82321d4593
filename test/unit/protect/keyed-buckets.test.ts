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

test('full buckets are forgotten while others are used, and those alone', () => {
  const buckets = new KeyedBuckets(rate);
  for (let index = 0; index < 100; index++) buckets.take(`old-${index}`, 0);
  for (let index = 0; index < 64; index++) buckets.take('young', 900);
  for (let index = 0; index < 64; index++) buckets.take('young', 1000);
  assert.equal(buckets.size, 1);
  assert.equal(buckets.take('young', 1000), 900, 'the young one still waits');
});

test('a flood of new keys never outruns the forgetting of old ones', () => {
  const buckets = new KeyedBuckets(rate);
  for (let second = 0; second < 20; second++) {
    for (let index = 0; index < 1000; index++) buckets.take(`${second}-${index}`, second * 1000);
  }
  assert.ok(buckets.size < 2500, `two seconds of keys at most, not ${buckets.size}`);
});

test('busy buckets in front do not keep full ones behind them', () => {
  const buckets = new KeyedBuckets(rate);
  for (let index = 0; index < 300; index++) buckets.take(`busy-${index}`, 0);
  for (let index = 0; index < 300; index++) buckets.take(`idle-${index}`, 0);
  for (let second = 1; second <= 3; second++) {
    for (let index = 0; index < 300; index++) buckets.take(`busy-${index}`, second * 1000 + 500);
  }
  assert.equal(buckets.size, 300);
});
