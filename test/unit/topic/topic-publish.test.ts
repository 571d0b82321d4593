/** Publishing to a topic: order, batches and their bounds, waits, time to live, idempotency. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { UserId } from '#proto/names.ts';
import { json, msgpack, shard0, shard1, TopicWorld } from './topic-world.ts';

const batchMessagesMax = 1024;
const batchBytesMax = 128 * 1024;

test('[PUB1] publications reach every lane in the order in which they were accepted', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.subscribe(shard1, msgpack);
  for (let index = 0; index < 50; index++) {
    world.publish(index);
    if (index % 7 === 0) world.topic.flush();
  }
  world.topic.flush();
  const expected = Array.from({ length: 50 }, (_, index) => index);
  assert.deepEqual(world.received(shard0, json), expected);
  assert.deepEqual(world.received(shard1, msgpack), expected);
});

test('a publication carries its id, sender, topic, event, priority and the time it was accepted', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  const acceptedAtMs = world.clock.wallMs();
  const answer = world.publish({ text: 'hi' }, { event: 'said', priority: 'high' });
  world.clock.advance(50);
  world.topic.flush();
  assert.deepEqual(answer, { ok: true, messageId: 'm1', isDuplicate: false });
  const data = { topic: 'chat:a', from: 'ann', event: 'said', priority: 'high', payload: { text: 'hi' } };
  assert.deepEqual(world.envelopes(shard0, json), [
    { type: 'Broadcast', id: 'm1', data, timestamp: acceptedAtMs },
  ]);
});

test('a broadcast to everyone carries no topic', () => {
  const world = new TopicWorld('sys:all');
  world.subscribe(shard0, msgpack);
  world.publish(1);
  world.topic.flush();
  assert.deepEqual(world.envelopes(shard0, msgpack)[0]?.data, { from: 'ann', payload: 1 });
});

test('what is published within one flush is one delivery', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  for (let index = 0; index < 10; index++) world.publish(index);
  assert.equal(world.deliveries.length, 0);
  assert.equal(world.counts.waiting, 10);
  world.topic.flush();
  assert.deepEqual(
    world.deliveries.map(({ frameCount }) => frameCount),
    [10],
  );
  assert.equal(world.counts.waiting, 0);
});

test('a flush of nothing delivers nothing', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.topic.flush();
  assert.deepEqual(world.deliveries, []);
});

test('a batch that reached its number of messages leaves at once', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  for (let index = 0; index < batchMessagesMax - 1; index++) world.publish(index);
  assert.equal(world.deliveries.length, 0);
  world.publish('last');
  assert.deepEqual(
    world.deliveries.map(({ frameCount }) => frameCount),
    [batchMessagesMax],
  );
  assert.equal(world.counts.waiting, 0);
});

test('a batch that reached its number of bytes leaves at once', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  const payload = 'x'.repeat(batchBytesMax / 4);
  for (let count = 0; count < 3; count++) world.publish(payload);
  assert.equal(world.deliveries.length, 0);
  world.publish(payload);
  assert.equal(
    world.deliveries.reduce((sum, { frameCount }) => sum + frameCount, 0),
    4,
  );
});

test('one delivery fits into a default outbox, whatever the payloads', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  // Each as large as a client frame may be; JSON writes a control character as six.
  for (let count = 0; count < 3; count++) world.publish('\u0001'.repeat(60_000));
  world.topic.flush();
  for (const { frames } of world.deliveries) assert.ok(frames.length < 1024 ** 2, `${frames.length} bytes`);
});

test('the bytes of one batch do not count towards the next', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.publish('x'.repeat(batchBytesMax - 10));
  world.topic.flush();
  world.publish('y'.repeat(100));
  assert.equal(world.deliveries.length, 1);
});

test('the priority chooses how long to wait for company', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  for (const priority of ['critical', 'high', 'normal', 'low'] as const)
    world.publish(priority, { priority });
  world.publish('no priority');
  assert.deepEqual(world.waits, ['now', 'now', 'window', 'lazy', 'window']);
});

test('an urgent publication takes the lazy ones before it along, in order', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.publish('lazy', { priority: 'low' });
  world.publish('urgent', { priority: 'critical' });
  world.topic.flush();
  assert.deepEqual(world.received(shard0, json), ['lazy', 'urgent']);
});

test('a publication past its time to live is not delivered, and is counted', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.publish('stale', { ttlMs: 10 });
  world.publish('fresh', { ttlMs: 11 });
  world.publish('for ever');
  world.clock.advance(10);
  world.topic.flush();
  assert.deepEqual(world.received(shard0, json), ['fresh', 'for ever']);
  assert.deepEqual([world.counts.expired, world.counts.waiting], [1, 0]);
});

test('when all of a batch is stale nothing is delivered', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.publish('stale', { ttlMs: 1 });
  world.clock.advance(1);
  world.topic.flush();
  assert.deepEqual([world.deliveries.length, world.counts.expired], [0, 1]);
});

test('without subscribers a publication is accepted and not kept', () => {
  const world = new TopicWorld();
  assert.equal(world.publish(1).ok, true);
  assert.deepEqual([world.counts.accepted, world.counts.waiting, world.waits.length], [1, 0, 0]);
  assert.equal(world.topic.isIdle, true);
});

test('[PUB3] the same key with the same body answers with the first id and delivers once', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  const first = world.publish('hi', { key: 'k1' });
  assert.deepEqual(world.publish('hi', { key: 'k1' }), { ok: true, messageId: 'm1', isDuplicate: true });
  world.topic.flush();
  assert.deepEqual(first, { ok: true, messageId: 'm1', isDuplicate: false });
  assert.deepEqual(world.received(shard0, json), ['hi']);
  assert.deepEqual([world.counts.accepted, world.counts.duplicate], [1, 1]);
});

test('[PUB3] the same key with another body is refused and delivers nothing', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.publish('hi', { key: 'k1' });
  const answer = world.publish('ho', { key: 'k1' });
  assert.ok(!answer.ok);
  assert.equal(answer.refusal.code, 'key_conflict');
  world.topic.flush();
  assert.deepEqual(world.received(shard0, json), ['hi']);
});

test('[PUB3] a key is unique per sender', () => {
  const world = new TopicWorld();
  const ben = 'ben' as UserId;
  world.publish('hi', { key: 'k1' });
  assert.deepEqual(world.publish('ho', { key: 'k1', from: ben }), {
    ok: true,
    messageId: 'm2',
    isDuplicate: false,
  });
});

test('[PUB3] a key that was used while nobody listened is remembered', () => {
  const world = new TopicWorld();
  world.publish('hi', { key: 'k1' });
  world.subscribe(shard0, json);
  assert.deepEqual(world.publish('hi', { key: 'k1' }), { ok: true, messageId: 'm1', isDuplicate: true });
  world.topic.flush();
  assert.deepEqual(world.deliveries, []);
});
