/** A loop that stands still is noticed by its heartbeat. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShardId } from '#proto/names.ts';
import { allocateHeartbeats, Heartbeats } from '../../../src/observe/heartbeats.ts';
import { StallWatch } from '../../../src/supervise/stall-watch.ts';

const [zero, one] = [0, 1] as ShardId[] as [ShardId, ShardId];

function open() {
  const heartbeats = new Heartbeats(allocateHeartbeats(2));
  const watch = new StallWatch(heartbeats, 5000);
  watch.begin(zero, 0);
  return { heartbeats, watch };
}

/** Looks every 250 ms, as the supervisor does; what each look said that was not 'turning'. */
function lookOn(watch: StallWatch, shard: ShardId, fromMs: number, toMs: number): [number, string][] {
  const said: [number, string][] = [];
  for (let nowMs = fromMs + 250; nowMs <= toMs; nowMs += 250) {
    const state = watch.look(shard, nowMs);
    if (state !== 'turning') said.push([nowMs, state]);
  }
  return said;
}

test('a shard whose heart beats is turning, however long one looks', () => {
  const { heartbeats, watch } = open();
  for (let nowMs = 250; nowMs < 60_000; nowMs += 250) {
    heartbeats.beat(zero);
    assert.equal(watch.look(zero, nowMs), 'turning');
  }
});

test('a second without a beat is slow, said once per stall', () => {
  const { heartbeats, watch } = open();
  assert.deepEqual(lookOn(watch, zero, 0, 4750), [[1000, 'slow']]);
  heartbeats.beat(zero);
  assert.equal(watch.look(zero, 5000), 'turning');
  assert.deepEqual(lookOn(watch, zero, 5000, 7000), [[6000, 'slow']]);
});

test('[SUP3] past the stall timeout it is stalled, until it beats again', () => {
  const { heartbeats, watch } = open();
  assert.deepEqual(lookOn(watch, zero, 0, 5250).slice(1), [
    [5000, 'stalled'],
    [5250, 'stalled'],
  ]);
  heartbeats.beat(zero);
  assert.equal(watch.look(zero, 5500), 'turning');
});

test('the time counts from the last look that saw a beat', () => {
  const { heartbeats, watch } = open();
  heartbeats.beat(zero);
  assert.equal(watch.look(zero, 4000), 'turning');
  assert.deepEqual(lookOn(watch, zero, 4000, 9000), [
    [5000, 'slow'],
    [9000, 'stalled'],
  ]);
});

test('who did not look for long, because the whole process stood still, does not blame the shards', () => {
  const { heartbeats, watch } = open();
  heartbeats.beat(zero);
  assert.equal(watch.look(zero, 250), 'turning');
  assert.equal(watch.look(zero, 60_000), 'turning');
  assert.deepEqual(lookOn(watch, zero, 60_000, 64_500), [[60_750, 'slow']]);
});

test('each shard has its own heart', () => {
  const { heartbeats, watch } = open();
  watch.begin(one, 0);
  heartbeats.beat(one);
  assert.deepEqual(lookOn(watch, zero, 0, 5000).at(-1), [5000, 'stalled']);
  assert.equal(watch.look(one, 5000), 'turning');
});

test('a shard that is not watched is never stalled', () => {
  const { watch } = open();
  assert.equal(watch.isWatched(one), false);
  assert.equal(watch.look(one, 1e9), 'turning');
});

test('a shard is watched from begin to end; ending twice is ending once', () => {
  const { watch } = open();
  assert.equal(watch.isWatched(zero), true);
  for (const shard of [zero, zero, one]) watch.end(shard);
  assert.equal(watch.look(zero, 1e9), 'turning');
});

test('a successor has the full time, although its counter stands where the dead thread left it', () => {
  const { heartbeats, watch } = open();
  heartbeats.beat(zero);
  watch.end(zero);
  watch.begin(zero, 100_000);
  assert.deepEqual(lookOn(watch, zero, 100_000, 105_000), [
    [101_000, 'slow'],
    [105_000, 'stalled'],
  ]);
});

test('a counter that wraps past 2^31 still beats', () => {
  const memory = allocateHeartbeats(1);
  new Int32Array(memory)[0] = 0x7fffffff;
  const heartbeats = new Heartbeats(memory);
  const watch = new StallWatch(heartbeats, 5000);
  watch.begin(zero, 0);
  heartbeats.beat(zero);
  assert.equal(watch.look(zero, 10_000), 'turning');
});
