/** The topic actors of a shard: there while somebody subscribes, gone with the last one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ShardId,
  type Tenant,
  type TopicKey,
  type TopicName,
  topicKey,
  type UserId,
} from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { FlushTarget } from '../../../src/fanout/ports.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import { TopicTable } from '../../../src/shard/topic-table.ts';
import type { Answer } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { noStore } from '../../kit/no-store.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';
import { filtered, json, msgpack, shard0, shard1 } from '../topic/topic-world.ts';

const key = (name: string) => topicKey('default' as Tenant, name as TopicName);
const message = { from: 'ann' as UserId, payload: Payload.ofValue('x') };

/** A table whose flushes come when the test says so; `waiting` is the gauge of publications that wait. */
function open() {
  const clock = new ManualClock();
  const delivered: ShardId[] = [];
  const flushes = new Set<FlushTarget>();
  let waiting = 0;
  let onDelivery: (() => void) | undefined;
  const nothing = () => {};
  const table = new TopicTable({
    ...noStore,
    clock,
    recentKeys: new RecentKeys(clock, countingIds(), { accepted: nothing, duplicate: nothing }),
    subscribers: {
      deliver(shard) {
        delivered.push(shard);
        onDelivery?.();
        return 'sent';
      },
      tellLost: nothing,
    },
    flushes: { requestFlush: (topic) => void flushes.add(topic) },
    counters: {
      dropped: nothing,
      expired: nothing,
      waiting(change) {
        waiting += change;
      },
    },
  });
  const loseOnDelivery = (lose: (() => void) | undefined) => {
    onDelivery = lose;
  };
  const subscribe = (topic: TopicKey, shard: ShardId, lane: LaneSpec): Answer => {
    let answered: Answer | undefined;
    table.subscribe(topic, shard, lane, undefined, (answer) => {
      answered = answer;
    });
    return answered as Answer;
  };
  return { table, subscribe, delivered, flushes, waiting: () => waiting, loseOnDelivery };
}

test('a topic whose last subscriber leaves while publications wait is gone, however often', () => {
  const { table, subscribe, delivered, flushes, waiting } = open();
  for (let round = 0; round < 100; round++) {
    const topic = key(`t:${round}`);
    subscribe(topic, shard0, json);
    table.publish(topic, message, () => {});
    table.publish(topic, message, () => {});
    assert.deepEqual([table.size, waiting()], [1, 2]);
    table.unsubscribe(topic, shard0, json);
    assert.deepEqual([table.size, waiting()], [0, 0]);
  }
  for (const topic of flushes) topic.flush();
  assert.deepEqual([table.size, delivered, waiting()], [0, [], 0]);
});

test('a topic stays while one lane of several has a subscriber, and then goes', () => {
  const { table, subscribe, delivered, flushes, waiting } = open();
  const topic = key('t');
  const lanes = [json, msgpack, filtered('json', { event: 'x' })];
  for (const lane of lanes) subscribe(topic, shard0, lane);
  table.publish(topic, message, () => {});
  for (const lane of lanes.slice(1)) table.unsubscribe(topic, shard0, lane);
  assert.deepEqual([table.size, waiting()], [1, 1]);
  for (const target of flushes) target.flush();
  assert.deepEqual([delivered, waiting()], [[shard0], 0]);
  table.unsubscribe(topic, shard0, json);
  assert.equal(table.size, 0);
});

test('[SUP1] topics whose subscribers were all on a shard that died are gone, also while publications wait', () => {
  const { table, subscribe, waiting } = open();
  for (let index = 0; index < 10; index++) {
    subscribe(key(`dead:${index}`), shard1, json);
    table.publish(key(`dead:${index}`), message, () => {});
  }
  subscribe(key('both'), shard0, json);
  subscribe(key('both'), shard1, json);
  table.publish(key('both'), message, () => {});
  table.dropShard(shard1);
  assert.deepEqual([table.size, waiting()], [1, 1]);
});

test('whoever joins a topic anew gets nothing of what its former subscribers left behind', () => {
  const { table, subscribe, delivered, flushes } = open();
  const topic = key('t');
  subscribe(topic, shard0, json);
  table.publish(topic, message, () => {});
  table.unsubscribe(topic, shard0, json);
  subscribe(topic, shard1, json);
  for (const target of flushes) target.flush();
  assert.deepEqual(delivered, []);
});

test('a publication or a refused subscription leaves no topic behind', () => {
  const { table, subscribe } = open();
  table.publish(key('nobody'), message, () => {});
  assert.equal(subscribe(key('bad'), shard0, filtered('json', { a: { near: 1 } })).ok, false);
  assert.equal(table.size, 0);
});

test('[PUB2] a subscription during whose flush the last reader of the topic is lost still gets what follows', () => {
  const { table, subscribe, delivered, flushes, loseOnDelivery } = open();
  const topic = key('t');
  subscribe(topic, shard0, json);
  table.publish(topic, message, () => {});
  // The flush that the second subscription needs finds the only reader too slow, and its shard leaves the lane.
  loseOnDelivery(() => table.unsubscribe(topic, shard0, json));
  assert.deepEqual(subscribe(topic, shard1, json), { ok: true });
  assert.deepEqual([delivered, table.size], [[shard0], 1]);
  loseOnDelivery(undefined);
  table.publish(topic, message, () => {});
  for (const target of flushes) target.flush();
  assert.deepEqual(delivered, [shard0, shard1]);
});
