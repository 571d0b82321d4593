/** A bucket gives its permits, then makes wait as long as it says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { TokenBucket } from '../../../src/protect/token-bucket.ts';

const rate = { permits: 10, intervalMs: 1000, burst: 5 };

function takeAll(bucket: TokenBucket, nowMs: number): number {
  let taken = 0;
  while (bucket.take(rate, nowMs) === 0) taken++;
  return taken;
}

test('a new bucket is full: the rate and the burst at once, then no more', () => {
  const bucket = new TokenBucket(rate, 0);
  assert.equal(bucket.isFull(rate, 0), true);
  assert.equal(takeAll(bucket, 0), 15);
  assert.equal(bucket.isFull(rate, 0), false);
});

test('an empty bucket says when the next permit is there, and then it is', () => {
  const bucket = new TokenBucket(rate, 0);
  takeAll(bucket, 0);
  assert.equal(bucket.take(rate, 0), 100);
  assert.equal(bucket.take(rate, 60), 40);
  assert.equal(bucket.take(rate, 100), 0);
  assert.equal(bucket.take(rate, 100), 100);
});

test('asking in vain costs nothing', () => {
  const bucket = new TokenBucket(rate, 0);
  takeAll(bucket, 0);
  for (let count = 0; count < 1000; count++) bucket.take(rate, 50);
  assert.equal(bucket.take(rate, 100), 0);
});

test('it fills up to the rate and the burst, however long it rests', () => {
  const bucket = new TokenBucket(rate, 0);
  takeAll(bucket, 0);
  assert.equal(bucket.isFull(rate, 1499), false);
  assert.equal(bucket.isFull(rate, 1500), true);
  assert.equal(takeAll(bucket, 1e12), 15);
});

const rates = fc.record(
  {
    permits: fc.integer({ min: 1, max: 1000 }),
    intervalMs: fc.integer({ min: 1, max: 3_600_000 }),
    burst: fc.integer({ min: 0, max: 100 }),
  },
  { noNullPrototype: true },
);

test('over any run of calls it never gives more than the rate allows', () => {
  fc.assert(
    fc.property(rates, fc.array(fc.nat(5000), { maxLength: 200 }), (given, steps) => {
      const bucket = new TokenBucket(given, 0);
      let nowMs = 0;
      let taken = 0;
      for (const step of steps) {
        nowMs += step;
        if (bucket.take(given, nowMs) === 0) taken++;
      }
      const allowed = given.permits + given.burst + (nowMs * given.permits) / given.intervalMs;
      assert.ok(taken <= allowed + 1e-6, `${taken} of ${allowed}`);
    }),
  );
});

test('whoever waits as long as told, and a rounding millisecond, gets the permit', () => {
  fc.assert(
    fc.property(rates, fc.array(fc.nat(1000), { maxLength: 50 }), (given, steps) => {
      const bucket = new TokenBucket(given, 0);
      let nowMs = 0;
      for (const step of steps) {
        nowMs += step;
        const waitMs = bucket.take(given, nowMs);
        assert.ok(Number.isInteger(waitMs) && waitMs >= 0);
        if (waitMs === 0) continue;
        nowMs += waitMs + 1;
        assert.equal(bucket.take(given, nowMs), 0, `after ${waitMs} ms`);
      }
    }),
  );
});
