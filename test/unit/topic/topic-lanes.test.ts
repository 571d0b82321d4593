/** Lanes of a topic: who shares bytes with whom, filters, and subscribers that come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserId } from '#proto/names.ts';
import { canonicalFilter } from '../../../src/routing/filter.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { filtered, json, msgpack, shard0, shard1, shard2, TopicWorld } from './topic-world.ts';

const ok = { ok: true };

test('[FAN1] all shards on a lane get the very same bytes', () => {
  const world = new TopicWorld();
  for (const shard of [shard0, shard1, shard2]) assert.deepEqual(world.subscribe(shard, json), ok);
  world.publish(1);
  world.publish(2);
  world.topic.flush();
  assert.deepEqual(
    world.deliveries.map(({ shard, frameCount }) => [shard, frameCount]),
    [
      [0, 2],
      [1, 2],
      [2, 2],
    ],
  );
  assert.equal(new Set(world.deliveries.map(({ frames }) => frames)).size, 1);
});

test('[FAN1] encoding costs the same, however many lanes filter what is encoded', (t) => {
  const stringify = t.mock.method(JSON, 'stringify');
  const callsWith = (laneCount: number): number => {
    const world = new TopicWorld();
    for (let index = 0; index < laneCount; index++) {
      world.subscribe(shard0, filtered('json', { 'payload.a': { gte: index } }));
    }
    // {"a": 50}, as it comes from another shard.
    const payload = Payload.ofMsgpack(Buffer.from([0x81, 0xa1, 0x61, 0x32]));
    world.topic.publish({ from: 'ann' as UserId, payload }, () => {});
    stringify.mock.resetCalls();
    world.topic.flush();
    assert.equal(world.deliveries.length, laneCount);
    return stringify.mock.callCount();
  };
  assert.equal(callsWith(50), callsWith(1));
});

test('[FAN1] without a JSON subscriber no JSON is made', (t) => {
  const world = new TopicWorld();
  world.subscribe(shard0, msgpack);
  world.publish({ a: 1 });
  const stringify = t.mock.method(JSON, 'stringify');
  world.topic.flush();
  assert.equal(stringify.mock.callCount(), 0);
  assert.deepEqual(world.received(shard0, msgpack), [{ a: 1 }]);
});

test('both encodings get the same publications', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.subscribe(shard0, msgpack);
  const payloads = [null, 1.5, 'ü', [1, [2]], { a: { b: true } }];
  for (const payload of payloads) world.publish(payload, { event: 'e' });
  world.topic.flush();
  assert.deepEqual(world.received(shard0, json), payloads);
  assert.deepEqual(world.envelopes(shard0, msgpack), world.envelopes(shard0, json));
});

test('a filter lets pass what fits, in order, and nothing is delivered where nothing does', () => {
  const world = new TopicWorld();
  const even = filtered('json', { 'payload.isEven': true });
  const none = filtered('json', { event: 'never' });
  for (const lane of [json, even, none]) world.subscribe(shard0, lane);
  for (let index = 0; index < 6; index++) world.publish({ index, isEven: index % 2 === 0 });
  world.topic.flush();
  const indexes = (lane: typeof json) =>
    world.received(shard0, lane).map((payload) => (payload as { index: number }).index);
  assert.deepEqual(indexes(even), [0, 2, 4]);
  assert.deepEqual(indexes(json), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(
    world.deliveries.map(({ lane, frameCount }) => [lane[1], frameCount]),
    [
      ['', 6],
      [even[1], 3],
    ],
  );
});

test('a filter sees topic, sender, event, priority and payload', () => {
  const world = new TopicWorld();
  const all = filtered('json', {
    topic: 'chat:a',
    from: 'ann',
    event: { prefix: 'dep' },
    priority: { gte: 'high' },
    'payload.n': { gt: 1 },
  });
  world.subscribe(shard0, all);
  world.publish({ n: 2 }, { event: 'deploy', priority: 'high' });
  world.publish({ n: 2 }, { event: 'deploy', priority: 'normal' });
  world.publish({ n: 1 }, { event: 'deploy', priority: 'high' });
  world.publish({ n: 2 }, { event: 'other', priority: 'high' });
  world.topic.flush();
  assert.deepEqual(world.received(shard0, all), [{ n: 2 }]);
});

test('equal filters are one lane, whatever the order in which they were written', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, ['json', canonicalFilter({ a: 1, b: { lt: 2, gt: 0 } })]);
  world.subscribe(shard0, ['json', canonicalFilter({ b: { gt: 0, lt: 2 }, a: 1 })]);
  world.topic.unsubscribe(shard0, ['json', canonicalFilter({ a: 1, b: { gt: 0, lt: 2 } })]);
  assert.equal(world.topic.isIdle, true);
});

test('whoever joins gets nothing that was published before, and those who were there do', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.publish('before');
  world.subscribe(shard1, json);
  world.subscribe(shard1, msgpack);
  world.publish('after');
  world.topic.flush();
  assert.deepEqual(world.received(shard0, json), ['before', 'after']);
  assert.deepEqual(world.received(shard1, json), ['after']);
  assert.deepEqual(world.received(shard1, msgpack), ['after']);
});

test('subscribing twice is subscribing once', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.subscribe(shard0, json);
  world.publish(1);
  world.topic.flush();
  assert.equal(world.deliveries.length, 1);
  world.topic.unsubscribe(shard0, json);
  assert.equal(world.topic.isIdle, true);
});

test('a lane that lost its last shard is dropped, and the others stay', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.subscribe(shard1, json);
  world.subscribe(shard1, msgpack);
  world.topic.unsubscribe(shard1, json);
  world.topic.unsubscribe(shard1, msgpack);
  world.publish(1);
  world.topic.flush();
  assert.deepEqual(
    world.deliveries.map(({ shard, lane }) => [shard, lane[0]]),
    [[0, 'json']],
  );
  world.topic.unsubscribe(shard0, json);
  assert.equal(world.topic.isIdle, true);
});

test('unsubscribing a lane that is not there does nothing', () => {
  const world = new TopicWorld();
  world.topic.unsubscribe(shard0, json);
  world.subscribe(shard0, json);
  world.topic.unsubscribe(shard1, json);
  world.topic.unsubscribe(shard0, msgpack);
  assert.equal(world.topic.isIdle, false);
});

test('when a shard died all of its lanes are dropped, and no lane of another', () => {
  const world = new TopicWorld();
  const filter = filtered('json', { event: 'x' });
  for (const lane of [json, msgpack, filter]) world.subscribe(shard0, lane);
  world.subscribe(shard1, json);
  world.topic.dropShard(shard0);
  world.publish(1, { event: 'x' });
  world.topic.flush();
  assert.deepEqual(
    world.deliveries.map(({ shard, lane }) => [shard, lane]),
    [[1, json]],
  );
  world.topic.dropShard(shard1);
  assert.equal(world.topic.isIdle, true);
});

test('what waits is forgotten with the last subscriber, and the topic is idle', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.publish(1);
  assert.equal(world.topic.isIdle, false);
  world.topic.unsubscribe(shard0, json);
  assert.equal(world.topic.isIdle, true);
  world.topic.flush();
  assert.deepEqual([world.topic.isIdle, world.deliveries.length, world.counts.waiting], [true, 0, 0]);
});

test('a filter that is none is refused, and so is one lane too many', () => {
  const world = new TopicWorld();
  const bad = world.subscribe(shard0, filtered('json', { a: { near: 1 } }));
  assert.ok(!bad.ok);
  assert.equal(bad.refusal.code, 'invalid_filter');
  assert.equal(world.topic.isIdle, true);
  for (let index = 0; index < 256; index++) {
    assert.deepEqual(world.subscribe(shard0, filtered('json', { a: index })), ok);
  }
  const tooMany = world.subscribe(shard0, filtered('json', { a: 256 }));
  assert.ok(!tooMany.ok);
  assert.equal(tooMany.refusal.code, 'limit_exceeded');
  assert.deepEqual(
    world.subscribe(shard1, filtered('json', { a: 7 })),
    ok,
    'a lane that is there is free to join',
  );
});
