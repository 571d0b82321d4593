/** Subscribers of logs whose home is another shard: what they get is what lies behind the place they are told, and only that. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { UserId } from '#proto/names.ts';
import { HotWindows } from '../../../src/log/hot-windows.ts';
import type { Answer, Joined } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { MemoryLogStore } from '../../kit/memory-log-store.ts';
import { range } from '../log/log-world.ts';
import { countingIds } from '../protect/manual-clock.ts';
import { envelopesIn, json } from '../topic/topic-world.ts';
import { Client, ShardPair, topicAt } from './shard-pair.ts';

const topic = topicAt(1);

function open(t: TestContext) {
  const store = new MemoryLogStore();
  const windows = new HotWindows();
  const pair = new ShardPair({ store, windows, messageIds: countingIds(), classOf: () => 'durable' });
  t.after(() => pair.close());
  const settle = () => {
    for (let round = 0; round < 4; round++) {
      pair.settle();
      store.settle();
    }
  };
  /** Committed and emitted at once. */
  const publish = (count: number) => {
    for (let index = 0; index < count; index++) {
      pair.there.topics.publish(topic, { from: 'ann' as UserId, payload: Payload.ofValue(1) }, () => {});
      store.settle();
    }
    pair.there.turn();
  };
  return { pair, store, windows, settle, publish };
}

function joinedOf(answer: Answer | undefined): Joined {
  assert.ok(answer?.ok && answer.joined !== undefined, JSON.stringify(answer));
  return answer.joined;
}

const offsetsOf = ({ envelopes }: Client) => envelopes.map(({ data }) => data['offset']);

test('[REC1] each of several subscribers of a lane gets what lies behind its own place', (t) => {
  const { pair, settle, publish } = open(t);
  const clients: [client: Client, end: number][] = [];
  for (const end of [0, 3, 6]) {
    const client = new Client();
    pair.here.subscribe(topic, json, client);
    settle();
    assert.equal(joinedOf(client.answers[0]).position.offset, end);
    clients.push([client, end]);
    publish(3);
    settle();
  }
  for (const [client, end] of clients) assert.deepEqual(offsetsOf(client), range(end + 1, 9));
});

test('[REC1] what was missed travels with the answer, and what follows comes by itself, with no hole between them', (t) => {
  const { pair, settle, publish } = open(t);
  const client = new Client();
  publish(5);
  pair.here.subscribe(topic, json, client, { offset: 2, epoch: 'e1' });
  publish(2);
  settle();
  publish(2);
  settle();
  const { isLive, recovered, position, replay } = joinedOf(client.answers[0]);
  assert.deepEqual([isLive, recovered], [true, true]);
  const missed = envelopesIn(replay!.frames).map(({ data }) => data['offset']);
  assert.deepEqual(missed, range(3, position.offset));
  assert.deepEqual(offsetsOf(client), range(position.offset + 1, 9));
});

test('[REC1] whoever is not live yet gets nothing by itself, although another one of its lane does', (t) => {
  const { pair, settle, publish } = open(t);
  const [live, coming] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, live);
  settle();
  publish(350);
  settle();
  pair.here.subscribe(topic, json, coming, { offset: 3, epoch: 'e1' });
  settle();
  assert.equal(joinedOf(coming.answers[0]).isLive, false);
  publish(2);
  settle();
  assert.deepEqual([offsetsOf(live).length, coming.envelopes], [352, []]);
});

test('[REC1] unsubscribed and subscribed again before the home has answered: nothing that lies before the second answer comes by itself', (t) => {
  const { pair, settle, publish } = open(t);
  const [other, client] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, other); // keeps the lane
  settle();
  publish(2);
  settle();
  pair.here.subscribe(topic, json, client);
  pair.here.topicPort.unsubscribe(topic, json, client);
  pair.here.turn();
  pair.there.turn(); // the first one is answered
  publish(2);
  pair.here.subscribe(topic, json, client, { offset: 0, epoch: 'e1' });
  settle();
  publish(1);
  settle();
  const { position, replay } = joinedOf(client.answers[1]);
  assert.equal(position.offset, 4);
  assert.deepEqual(
    envelopesIn(replay!.frames).map(({ data }) => data['offset']),
    range(1, 4),
  );
  assert.deepEqual(offsetsOf(client), [5]);
});

/** Subscribers of entries that are in the store only: who comes back to them is not live at once. */
function openCold(t: TestContext) {
  const opened = open(t);
  opened.publish(5);
  const forget = () => {
    opened.windows.expire(Number.MAX_SAFE_INTEGER);
    opened.pair.there.turn();
  };
  forget();
  const deliveriesOfNext = () => {
    opened.publish(1);
    let count = 0;
    opened.pair.here.links.read(({ kind }) => {
      if (kind === 'topicDeliver') count++;
    }, 1000);
    return count;
  };
  return { ...opened, forget, deliveriesOfNext };
}

test('a lane whose last live subscriber left while another one asked for it is closed at the home when that one leaves', (t) => {
  const { pair, settle, forget, deliveriesOfNext } = openCold(t);
  const [live, coming] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, live);
  settle();
  pair.here.subscribe(topic, json, coming, { offset: 0, epoch: 'e1' });
  pair.here.topicPort.unsubscribe(topic, json, live);
  settle();
  assert.equal(joinedOf(coming.answers[0]).isLive, false);
  pair.here.topicPort.unsubscribe(topic, json, coming);
  settle();
  assert.deepEqual([...pair.here.subscribers.lanes()], []);
  assert.equal(deliveriesOfNext(), 0);
  forget();
  assert.equal(pair.there.topics.size, 0);
});

test('a join that was answered as not live, with nobody else on its lane, leaves no lane here and none at the home', (t) => {
  const { pair, settle, forget, deliveriesOfNext } = openCold(t);
  const coming = new Client();
  pair.here.subscribe(topic, json, coming, { offset: 0, epoch: 'e1' });
  settle();
  assert.equal(joinedOf(coming.answers[0]).isLive, false);
  assert.deepEqual([...pair.here.subscribers.lanes()], []);
  assert.equal(deliveriesOfNext(), 0);
  forget();
  assert.equal(pair.there.topics.size, 0);
});

test('a join that was refused while others left its lane leaves no lane at the home', (t) => {
  const { pair, store, settle, forget, deliveriesOfNext } = openCold(t);
  const [live, coming] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, live);
  settle();
  store.door = 'down';
  pair.here.subscribe(topic, json, coming, { offset: 0, epoch: 'e1' });
  pair.here.topicPort.unsubscribe(topic, json, live);
  settle();
  assert.equal(coming.answers[0]?.ok, false);
  store.door = 'sent';
  assert.deepEqual([[...pair.here.subscribers.lanes()], deliveriesOfNext()], [[], 0]);
  forget();
  assert.equal(pair.there.topics.size, 0);
});

test('[REC1] another one of its lane goes on being live when a join that was not live ends', (t) => {
  const { pair, settle, publish } = openCold(t);
  const [live, coming] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, live);
  settle();
  pair.here.subscribe(topic, json, coming, { offset: 0, epoch: 'e1' });
  settle();
  pair.here.topicPort.unsubscribe(topic, json, coming);
  settle();
  publish(2);
  settle();
  assert.deepEqual(offsetsOf(live), [6, 7]);
});

test('[DUR5] when the home dies its subscribers are told, those who wait for it are answered, and both may come back', (t) => {
  const { pair, settle, publish } = open(t);
  const [live, waiting] = [new Client(), new Client()];
  pair.here.subscribe(topic, json, live);
  settle();
  publish(3);
  settle();
  pair.here.subscribe(topic, json, waiting);
  pair.killThere();
  assert.deepEqual(live.lost, [topic.slice(topic.indexOf('|') + 1)]);
  assert.deepEqual([waiting.lost, waiting.answers[0]?.ok], [[], false]);
  pair.here.topicPort.unsubscribe(topic, json, live);
  pair.restartThere();
  for (const client of [live, waiting]) pair.here.subscribe(topic, json, client, { offset: 3, epoch: 'e1' });
  settle();
  publish(2);
  settle();
  for (const client of [live, waiting]) {
    assert.deepEqual(
      [joinedOf(client.answers.at(-1)).recovered, offsetsOf(client).slice(-2)],
      [true, [4, 5]],
    );
  }
});
