/** Lanes with a filter: how many there may be, and what a message without a priority is to them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Priority } from '#proto/data.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { Answer } from '../../../src/wire/message.ts';
import { filtered, json, msgpack, shard0, shard1, TopicWorld } from './topic-world.ts';

const ok = { ok: true };
const lanesMax = 256;
const lane = (index: number) => filtered(index % 2 === 0 ? 'json' : 'msgpack', { 'payload.n': index });

function fullWorld(): TopicWorld {
  const world = new TopicWorld();
  for (let index = 0; index < lanesMax; index++) assert.deepEqual(world.subscribe(shard0, lane(index)), ok);
  return world;
}

function codeOf(answer: Answer): string | undefined {
  return answer.ok ? undefined : answer.refusal.code;
}

test('all the filters that a topic may have do not lock out those who subscribe without one', () => {
  const world = fullWorld();
  assert.equal(codeOf(world.subscribe(shard0, lane(lanesMax))), 'limit_exceeded');
  for (const shard of [shard0, shard1]) {
    for (const spec of [json, msgpack]) assert.deepEqual(world.subscribe(shard, spec), ok);
  }
  world.publish({ n: 7 });
  world.topic.flush();
  assert.deepEqual(world.received(shard1, msgpack), [{ n: 7 }]);
  assert.deepEqual(world.received(shard0, lane(7)), [{ n: 7 }]);
});

test('those who subscribe without a filter take no place of a filter', () => {
  const world = new TopicWorld();
  for (const shard of [shard0, shard1]) {
    for (const spec of [json, msgpack]) world.subscribe(shard, spec);
  }
  for (let index = 0; index < lanesMax; index++) assert.deepEqual(world.subscribe(shard0, lane(index)), ok);
  assert.equal(codeOf(world.subscribe(shard0, lane(lanesMax))), 'limit_exceeded');
});

test('a filter that lost its last subscriber frees its place, once', () => {
  const world = fullWorld();
  world.subscribe(shard1, lane(3));
  world.topic.unsubscribe(shard0, lane(3));
  assert.equal(codeOf(world.subscribe(shard0, lane(lanesMax))), 'limit_exceeded', 'shard 1 has it');
  for (let times = 0; times < 3; times++) world.topic.unsubscribe(shard1, lane(3));
  assert.deepEqual(world.subscribe(shard0, lane(lanesMax)), ok);
  assert.equal(codeOf(world.subscribe(shard0, lane(lanesMax + 1))), 'limit_exceeded');
});

test('a lane without a filter that is closed frees no place of a filter', () => {
  const world = fullWorld();
  world.subscribe(shard0, json);
  world.topic.unsubscribe(shard0, json);
  assert.equal(codeOf(world.subscribe(shard0, lane(lanesMax))), 'limit_exceeded');
});

test('the filters of a shard that died free their places', () => {
  const world = fullWorld();
  world.topic.dropShard(shard0);
  for (let index = 0; index < lanesMax; index++)
    assert.deepEqual(world.subscribe(shard1, lane(1000 + index)), ok);
});

test('a filter that is none takes no place', () => {
  const world = new TopicWorld();
  for (let index = 0; index < lanesMax + 10; index++) {
    const bad = filtered('json', { a: { near: index } });
    assert.equal(codeOf(world.subscribe(shard0, bad)), 'invalid_filter');
  }
  assert.deepEqual(world.subscribe(shard0, lane(0)), ok);
});

/** What passes a filter on the priority, of one message each; `-` has none. */
function passing(condition: unknown): string[] {
  const world = new TopicWorld();
  const spec: LaneSpec = filtered('json', { priority: condition });
  world.subscribe(shard0, spec);
  for (const priority of ['low', 'normal', 'high', 'critical'] as Priority[])
    world.publish(priority, { priority });
  world.publish('-');
  world.topic.flush();
  return world.received(shard0, spec) as string[];
}

const byPriority: [condition: unknown, passes: string[]][] = [
  ['normal', ['normal', '-']],
  [{ eq: 'normal' }, ['normal', '-']],
  [{ ne: 'normal' }, ['low', 'high', 'critical']],
  [{ lt: 'high' }, ['low', 'normal', '-']],
  [{ lte: 'normal' }, ['low', 'normal', '-']],
  [{ gt: 'low' }, ['normal', 'high', 'critical', '-']],
  [{ gte: 'high' }, ['high', 'critical']],
  [{ in: ['low', 'normal'] }, ['low', 'normal', '-']],
  [{ nin: ['normal', 'high'] }, ['low', 'critical']],
  [{ prefix: 'norm' }, ['normal', '-']],
  [{ exists: true }, ['low', 'normal', 'high', 'critical', '-']],
  [{ exists: false }, []],
];
for (const [condition, passes] of byPriority) {
  test(`a message without a priority is a normal one to a filter: ${JSON.stringify(condition)}`, () => {
    assert.deepEqual(passing(condition), passes);
  });
}

test('what is delivered says no priority where none was given', () => {
  const world = new TopicWorld();
  const spec = filtered('json', { priority: 'normal' });
  world.subscribe(shard0, spec);
  world.publish(1);
  world.topic.flush();
  assert.equal('priority' in world.envelopes(shard0, spec)[0]!.data, false);
});
