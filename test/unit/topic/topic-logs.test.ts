/** Topics with a log, cached and durable: places, those who come back, what is lost on the way, marks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageId, UserId } from '#proto/names.ts';
import type { Answer, Joined, Since } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { LogWorld, range, replayedOffsets } from '../log/log-world.ts';
import { json, msgpack, shard0, shard1, TopicWorld } from './topic-world.ts';

const keptMs = 5 * 60_000;

function open(topicClass: 'cached' | 'durable') {
  const { ctx, windows, store, clock, timers } = new LogWorld();
  const world = new TopicWorld('chat:a', { ...ctx, classOf: () => topicClass });
  const answers: Answer[] = [];
  const onAnswer = (answer: Answer) => void answers.push(answer);
  const offsets = (shard = shard0) => {
    world.topic.flush();
    return world.envelopes(shard, json).map(({ data }) => data['offset']);
  };
  const cool = () => {
    clock.advance(keptMs + 1);
    windows.expire(clock.monotonicMs());
  };
  return { world, topic: world.topic, store, clock, timers, answers, onAnswer, offsets, cool };
}

function openDurable() {
  const opened = open('durable');
  const { topic, store, onAnswer, answers } = opened;
  const publish = (payload: unknown) =>
    topic.publish({ from: 'ann' as UserId, payload: Payload.ofValue(payload) }, onAnswer);
  const subscribe = (shard = shard0, since?: Since, lane = json) =>
    topic.subscribe(shard, lane, since, onAnswer);
  const mark = (user: string, offset: number, kind: 'read' | 'delivered' = 'read') =>
    topic.mark(user as UserId, { kind, offset }, onAnswer);
  const take = () => {
    store.settle();
    return answers.splice(0);
  };
  return { ...opened, publish, subscribe, mark, take };
}

const joinedOf = (answer: Answer | undefined) =>
  answer?.ok ? (answer.joined as Joined) : assert.fail('refused');
const codeOf = (answer: Answer | undefined) => (answer?.ok === false ? answer.refusal.code : answer);

test('a cached topic gives places without a store, and those who come back get what they missed', () => {
  const { world, clock, offsets } = open('cached');
  const first = world.publish('a', { ttlMs: 1 });
  assert.ok(first.ok && first.position !== undefined);
  const { epoch, offset } = first.position;
  assert.equal(offset, 1);
  const joined = joinedOf(world.subscribe(shard0, json, { offset: 0, epoch }));
  assert.deepEqual([joined.isLive, joined.recovered, replayedOffsets(joined.replay)], [true, true, [1]]);
  world.publish('b', { ttlMs: 1 });
  clock.advance(1000);
  assert.deepEqual(offsets(), [2], 'what has a place is never too old: it would be a hole');
});

test('[PUB3] a key of a cached topic answers with the first id', () => {
  const { world, offsets } = open('cached');
  world.subscribe(shard0, json);
  world.publish('a', { key: 'k' });
  const again = world.publish('a', { key: 'k' });
  assert.deepEqual([again.ok && again.isDuplicate, offsets()], [true, [1]]);
});

test('a cached topic that was forgotten begins anew: the old place is out of reach', () => {
  const old = open('cached');
  const { position } = old.world.publish('a') as Extract<Answer, { ok: true }>;
  assert.equal(old.topic.isIdle, false);
  old.cool();
  assert.deepEqual([old.topic.isIdle, old.world.idleCount], [true, 1]);
  const young = new TopicWorld('chat:a', {
    ...new LogWorld().ctx,
    classOf: () => 'cached',
    messageIds: { next: () => 'other-epoch' },
  });
  const joined = joinedOf(young.subscribe(shard0, json, position));
  assert.deepEqual([joined.recovered, joined.position.offset], [false, 0]);
});

test('what a cached topic cannot do is refused: edits, deletions, marks', () => {
  for (const { world, answers, onAnswer } of [
    open('cached'),
    { ...open('cached'), world: new TopicWorld() },
  ]) {
    world.topic.amend(
      { kind: 'deleted', target: 'm1' as MessageId, from: 'ann' as UserId, mayAmendAny: true },
      onAnswer,
    );
    world.topic.mark('ann' as UserId, { kind: 'read', offset: 1 }, onAnswer);
    assert.deepEqual(answers.map(codeOf), ['not_found', 'bad_request']);
  }
});

test('[REC1] what waits for a flush goes to those who were there, and the one who joins is live behind it', () => {
  const { publish, subscribe, take, offsets } = openDurable();
  subscribe(shard0);
  take();
  for (const index of range(1, 3)) publish(index);
  take();
  subscribe(shard1);
  assert.equal(joinedOf(take()[0]).position.offset, 3);
  publish(4);
  take();
  assert.deepEqual([offsets(shard0), offsets(shard1)], [range(1, 4), [4]]);
});

test('whoever is not live yet is on no lane; with the rest at hand they are', () => {
  const { topic, publish, subscribe, take, offsets, cool } = openDurable();
  publish(1);
  publish(2);
  take();
  cool();
  publish(3);
  take();
  subscribe(shard1, { offset: 0, epoch: 'e1' });
  assert.equal(joinedOf(take()[0]).isLive, false);
  publish(4);
  take();
  assert.deepEqual(offsets(shard1), []);
  subscribe(shard1, { offset: 2, epoch: 'e1' });
  const { isLive, replay } = joinedOf(take()[0]);
  assert.deepEqual([isLive, replayedOffsets(replay)], [true, [3, 4]]);
  publish(5);
  take();
  assert.deepEqual(offsets(shard1), [5]);
  topic.unsubscribe(shard1, json);
});

test('whoever leaves, or dies, before the store has said where the topic ends is not joined', () => {
  for (const leave of ['unsubscribe', 'die'] as const) {
    const { topic, publish, subscribe, take, offsets } = openDurable();
    subscribe(shard0);
    subscribe(shard1);
    if (leave === 'unsubscribe') topic.unsubscribe(shard1, json);
    else topic.dropShard(shard1);
    assert.equal(topic.isIdle, false);
    const [stays, left] = take();
    assert.deepEqual([stays?.ok, codeOf(left)], [true, 'not_subscribed']);
    publish(1);
    take();
    assert.deepEqual([offsets(shard0), offsets(shard1)], [[1], []]);
  }
});

test('a subscription waits for the store, or is told that it is away', () => {
  const { topic, store, subscribe, take, answers } = openDurable();
  store.door = 'down';
  subscribe();
  assert.deepEqual([answers.splice(0).map(codeOf), topic.isIdle], [['store_unavailable'], true]);
  store.door = 'sent';
  subscribe();
  assert.equal(answers.length, 0);
  assert.equal(joinedOf(take()[0]).position.offset, 0);
});

test('[DUR5] where a delivery finds no room its subscribers are told, and get nothing until they come back', () => {
  const { world, publish, subscribe, take, offsets } = openDurable();
  for (const shard of [shard0, shard1]) subscribe(shard);
  take();
  world.isWayFull = true;
  publish(1);
  take();
  world.topic.flush();
  assert.deepEqual(world.toldLost, [
    [shard0, json],
    [shard1, json],
  ]);
  world.isWayFull = false;
  subscribe(shard1, { offset: 0, epoch: 'e1' });
  assert.deepEqual(replayedOffsets(joinedOf(take()[0]).replay), [1]);
  publish(2);
  take();
  assert.deepEqual([offsets(shard0), offsets(shard1)], [[], [2]]);
});

test('of a volatile topic what finds no room is dropped, and the next one is delivered', () => {
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  world.isWayFull = true;
  world.publish(1);
  world.topic.flush();
  world.isWayFull = false;
  world.publish(2);
  world.topic.flush();
  assert.deepEqual([world.toldLost, world.received(shard0, json)], [[], [2]]);
});

test('a mark is told to the subscribers, in both encodings, when there is time, and once', () => {
  const { world, publish, subscribe, mark, take } = openDurable();
  subscribe(shard0);
  subscribe(shard0, undefined, msgpack);
  publish(1);
  publish(2);
  take();
  world.topic.flush();
  world.deliveries.length = 0;
  world.waits.length = 0;
  mark('ben', 1);
  mark('ben', 2);
  mark('cat', 1, 'delivered');
  assert.deepEqual(take(), [{ ok: true }, { ok: true }, { ok: true }]);
  assert.ok(world.waits.every((wait) => wait === 'lazy'));
  for (let times = 0; times < 2; times++) world.topic.flush();
  const told = [
    ['Receipt', { topic: 'chat:a', user: 'ben', kind: 'read', offset: 2 }],
    ['Receipt', { topic: 'chat:a', user: 'cat', kind: 'delivered', offset: 1 }],
  ];
  for (const lane of [json, msgpack]) {
    assert.deepEqual(
      world.envelopes(shard0, lane).map(({ type, data }) => [type, data]),
      told,
    );
  }
  mark('ben', 1);
  take();
  world.topic.flush();
  assert.equal(world.envelopes(shard0, json).length, 2, 'what is known already is not told');
  world.deliveries.length = 0;
  mark('dan', 1);
  take();
  world.topic.flush();
  assert.deepEqual(
    world.envelopes(shard0, json).map(({ data }) => data['user']),
    ['dan'],
    'and what was told is not told again',
  );
});

test('a mark beyond the end is refused and told to nobody', () => {
  const { world, subscribe, mark, take } = openDurable();
  subscribe();
  mark('ben', 1);
  assert.deepEqual(take().map(codeOf).slice(1), ['bad_request']);
  world.topic.flush();
  assert.deepEqual(world.deliveries, []);
});

test('where many leave marks nobody is told: n readers would bring n receipts to each', () => {
  const { world, publish, subscribe, mark, take } = openDurable();
  subscribe();
  publish(1);
  take();
  world.topic.flush();
  world.deliveries.length = 0;
  for (const index of range(1, 100)) mark(`user-${index}`, 1);
  assert.ok(take().every(({ ok }) => ok));
  world.topic.flush();
  assert.ok(world.envelopes(shard0, json).length <= 64, 'those who came while it was small');
  world.deliveries.length = 0;
  for (const index of range(101, 200)) mark(`user-${index}`, 1);
  take();
  world.topic.flush();
  assert.deepEqual(world.deliveries, []);
});

test('a durable topic is idle when nobody listens, nothing is at hand and the store owes nothing', () => {
  const { topic, world, publish, take, cool } = openDurable();
  publish(1);
  assert.equal(topic.isIdle, false);
  take();
  assert.equal(topic.isIdle, false);
  cool();
  assert.deepEqual([topic.isIdle, world.idleCount], [true, 1]);
});
