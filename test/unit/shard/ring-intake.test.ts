/** Records of another shard → the actors of this one: who is answered, and what reaches whom. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { SessionId, UserId } from '#proto/names.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { json } from '../topic/topic-world.ts';
import { Client, ShardPair, topicAt, userAt } from './shard-pair.ts';

function pairOf(t: TestContext): ShardPair {
  const pair = new ShardPair();
  t.after(() => pair.close());
  return pair;
}

const message = (payload: unknown, from = 'ann') => ({
  from: from as UserId,
  payload: Payload.ofValue(payload),
});
const session = (name: string) => name as SessionId;

test('a copy of a direct message from another shard reaches the other sessions of the sender, wherever they are', (t) => {
  const pair = pairOf(t);
  const [sender, recipient] = [
    userAt(0, (index) => `sender-${index}`),
    userAt(1, (index) => `recipient-${index}`),
  ];
  const client = new Client();
  for (const name of ['phone', 'laptop']) pair.here.attach(sender, session(name), 'json');
  pair.there.attach(sender, session('tablet'), 'msgpack');
  pair.there.attach(recipient, session('desk'), 'json');
  pair.settle();

  pair.here.userPort.direct(recipient, message('hi', 'sender-0'), sender, session('phone'), client);
  pair.settle();
  const [answer] = client.answers;
  assert.ok(answer?.ok);
  const seen = (from: ShardPair['here'], name: string) =>
    (from.directs.get(session(name)) ?? []).map(({ id, data }) => [id, data['payload']]);
  assert.deepEqual(seen(pair.there, 'desk'), [[answer.messageId, 'hi']]);
  assert.deepEqual(seen(pair.here, 'laptop'), [[answer.messageId, 'hi']]);
  assert.deepEqual(seen(pair.there, 'tablet'), [[answer.messageId, 'hi']]);
  assert.deepEqual(seen(pair.here, 'phone'), [], 'it got the reply instead');
  assert.deepEqual([pair.here.failures, pair.there.failures], [[], []]);
});

test('a copy is not answered, and for a sender without sessions it is nothing', (t) => {
  const pair = pairOf(t);
  const [sender, recipient] = [
    userAt(0, (index) => `sender-${index}`),
    userAt(1, (index) => `recipient-${index}`),
  ];
  const client = new Client();
  pair.here.userPort.direct(recipient, message('hi'), sender, null, client);
  pair.settle();
  assert.equal(client.answers.length, 1);
  assert.deepEqual([pair.here.failures, pair.there.failures], [[], []]);
  assert.equal(pair.here.users.size, 0);
});

test('news of a lane after a restart is not answered, and opens the lane as a subscription does', (t) => {
  const pair = pairOf(t);
  const topic = topicAt(1);
  pair.here.subscribers.open(topic, json).subscribers.add(new Client());
  pair.here.links.send(pair.there.id, 'topicResubscribe', 0, [topic, ...json]);
  const before = pair.there.metrics.get('ringRecords');
  pair.settle();
  assert.equal(pair.there.topics.size, 1);
  assert.equal(pair.there.metrics.get('ringRecords'), before, 'nothing came back');
});

test('whoever unsubscribes before the home has answered gets nothing, and the home forgets the lane', (t) => {
  const pair = pairOf(t);
  const topic = topicAt(1);
  const client = new Client();
  for (let round = 0; round < 5; round++) {
    assert.equal(pair.here.subscribe(topic, json, client).state, 'pending');
    pair.here.topicPort.unsubscribe(topic, json, client);
  }
  pair.settle();
  pair.here.topicPort.publish(topic, message(1), new Client());
  pair.settle();
  assert.equal(client.answers.length, 5, 'each subscription is answered');
  assert.deepEqual(client.envelopes, []);
  assert.deepEqual([pair.there.topics.size, [...pair.here.subscribers.lanes()].length], [0, 0]);
});

test('subscribed, unsubscribed and subscribed again before the home has answered is subscribed once', (t) => {
  const pair = pairOf(t);
  const topic = topicAt(1);
  const client = new Client();
  pair.here.subscribe(topic, json, client);
  pair.here.topicPort.unsubscribe(topic, json, client);
  pair.here.subscribe(topic, json, client);
  pair.settle();
  pair.here.topicPort.publish(topic, message('once'), new Client());
  pair.settle();
  assert.deepEqual([client.answers.length, client.payloads], [2, ['once']]);
});
