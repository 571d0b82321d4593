/** What a shard does when another one dies: what it had said is heard, what it owes is settled, its lanes come back. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { UserId } from '#proto/names.ts';
import { PendingRequests } from '../../../src/shard/pending-requests.ts';
import type { Answer } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { json, msgpack } from '../topic/topic-world.ts';
import { Client, ShardPair, topicAt } from './shard-pair.ts';

function pairOf(t: TestContext): ShardPair {
  const pair = new ShardPair();
  t.after(() => pair.close());
  return pair;
}

const message = (payload: unknown) => ({ from: 'ann' as UserId, payload: Payload.ofValue(payload) });
const topic = topicAt(1);

test('[SUP6] an answer that the dead shard had written is the answer, not busy', (t) => {
  const pair = pairOf(t);
  const [answered, unheard] = [new Client(), new Client()];
  assert.equal(pair.here.topicPort.publish(topic, message(1), answered).state, 'pending');
  pair.there.turn();
  assert.equal(pair.here.topicPort.publish(topic, message(2), unheard).state, 'pending');
  pair.killThere();
  assert.deepEqual(answered.answers, [{ ok: true, messageId: 'm1', isDuplicate: false }]);
  assert.equal(unheard.answers.length, 1);
  const [answer] = unheard.answers;
  assert.ok(answer?.ok === false);
  assert.equal(answer.refusal.code, 'busy');
  assert.match(answer.refusal.message, /may have been delivered/);
  assert.ok(answer.refusal.retryAfterMs! > 0);
});

test('many who are refused at once are told to come back at different times, within a second', (t) => {
  const pair = pairOf(t);
  const clients = Array.from({ length: 100 }, () => new Client());
  for (const client of clients) pair.here.topicPort.publish(topic, message(1), client);
  pair.killThere();
  const waits = clients.map(
    ({ answers: [answer] }) => (answer as Answer & { ok: false }).refusal.retryAfterMs!,
  );
  assert.equal(new Set(waits).size, 100);
  assert.ok(
    Math.min(...waits) >= 500 && Math.max(...waits) < 1500 && Math.max(...waits) - Math.min(...waits) > 900,
  );
});

test('[SUP6] what the dead shard had accepted and delivered reaches the subscribers, all of it', (t) => {
  const pair = pairOf(t);
  const [reader, sender] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, reader);
  pair.settle();
  for (let index = 0; index < 150; index++) {
    pair.here.topicPort.publish(topic, message(index), sender);
    pair.here.links.flush();
    pair.there.turn();
  }
  pair.killThere();
  assert.deepEqual(
    reader.payloads,
    Array.from({ length: 150 }, (_, index) => index),
  );
  assert.equal(sender.answers.filter(({ ok }) => ok).length, 150);
});

test('[SUP6] a record that the dead shard had begun and not finished is left', (t) => {
  const pair = pairOf(t);
  const reader = new Client();
  pair.here.subscribe(topic, json, reader);
  pair.settle();
  // Larger than the ring: its first pieces are in there, the rest waits in the shard that dies.
  const frames = Buffer.alloc(200_000);
  pair.there.links.send(pair.here.id, 'topicDeliver', 0, [topic, 'json', '', 1, frames, 'normal', 0]);
  assert.equal(pair.there.links.hasBacklog, true);
  pair.killThere();
  assert.deepEqual([reader.envelopes, pair.here.failures], [[], []]);
});

test('requests to a home that is down are busy at once, and say that nothing was accepted', (t) => {
  const pair = pairOf(t);
  pair.killThere();
  const requested = pair.here.topicPort.publish(topic, message(1), new Client());
  assert.ok(requested.state === 'answered' && !requested.answer.ok);
  assert.equal(requested.answer.refusal.code, 'busy');
  assert.match(requested.answer.refusal.message, /being restarted/);
});

test('when a home dies what it owes is settled once, and what another one owes is not', () => {
  const pending = new PendingRequests();
  const [dead, other] = [new Client(), new Client()];
  const correlation = pending.open(dead, 1 as never);
  pending.open(other, 2 as never);
  pending.failAll(1 as never);
  pending.failAll(1 as never);
  pending.settle(correlation, { ok: true });
  assert.deepEqual([dead.answers.length, other.answers.length], [1, 0]);
});

test('[PUB2] after the restart of a home whoever joins its lane is confirmed by the home only', (t) => {
  const pair = pairOf(t);
  const [old, newcomer] = [new Client(), new Client()];
  for (const lane of [json, msgpack]) {
    pair.here.subscribe(topic, lane, old);
    pair.settle();
    assert.equal(pair.here.subscribe(topic, lane, new Client()).state, 'answered');
  }
  pair.killThere();
  pair.restartThere();
  for (const lane of [json, msgpack]) {
    const requested = pair.here.subscribe(topic, lane, newcomer);
    assert.equal(requested.state, 'pending', lane[0]);
  }
  assert.deepEqual(newcomer.answers, []);
  pair.settle();
  assert.deepEqual(newcomer.answers, [{ ok: true }, { ok: true }]);
  assert.equal(pair.here.subscribe(topic, json, new Client()).state, 'answered');
});

test('[SUP2] subscribers of a home that was restarted get what is published to it, each once', (t) => {
  const pair = pairOf(t);
  const [old, newcomer] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, old);
  pair.settle();
  pair.killThere();
  pair.restartThere();
  pair.here.subscribe(topic, json, newcomer);
  pair.settle();
  pair.here.topicPort.publish(topic, message('again'), new Client());
  pair.settle();
  assert.deepEqual([old.payloads, newcomer.payloads], [['again'], ['again']]);
  assert.deepEqual(pair.there.failures, []);
});

test('while a home is down nobody joins its lanes, and those who were there stay', (t) => {
  const pair = pairOf(t);
  const [old, refused] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, old);
  pair.settle();
  pair.killThere();
  const requested = pair.here.subscribe(topic, json, refused);
  assert.ok(requested.state === 'answered' && !requested.answer.ok);
  pair.restartThere();
  pair.settle();
  pair.here.topicPort.publish(topic, message(1), new Client());
  pair.settle();
  assert.deepEqual([old.payloads, refused.payloads], [[1], []]);
});
