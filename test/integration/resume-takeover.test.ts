/** [RES1] The old connection is there still, or is lost again, or two want the same: one session, nothing lost or doubled. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import {
  bye,
  clientOn,
  entriesOf,
  gotOnce,
  homedAt,
  lose,
  offsetsOf,
  ok,
  type Positions,
  positionsOf,
  publish,
  resume,
  startStream,
  upTo,
} from '../kit/resuming.ts';
import type { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const ways = [
  { from: 0, to: 1, home: 0, encoding: 'json' },
  { from: 1, to: 0, home: 0, encoding: 'msgpack' },
  { from: 1, to: 1, home: 0, encoding: 'json' },
  { from: 0, to: 0, home: 0, encoding: 'msgpack' },
] as const;
/** Fewer than a cached topic keeps. */
const messages = 290;

/** A durable and a cached topic of each home. */
const topicsOf = (name: string) =>
  [0, 1].flatMap((home) => [
    homedAt(home, (index) => `room:${name}:${index}`),
    homedAt(home, (index) => `cache:${name}:${index}`),
  ]);

for (const [number, { from, to, home, encoding }] of ways.entries()) {
  for (const hasPositions of [true, false]) {
    const name = `taken-${number}-${hasPositions ? 'said' : 'unsaid'}`;
    test(`the old connection closes with 4503 in the midst of publications: shard ${from} to ${to}, ${encoding}, positions ${hasPositions}`, async () => {
      const topics = topicsOf(name);
      const user = homedAt(home, (index) => `${name}-${index}`);
      const sender = await clientOn(server.url, number % 2, `sender-${name}`);
      const old = await clientOn(server.url, from, user, { encoding });
      for (const topic of topics) await ok(old.request('Subscribe', { topic }));
      const stream = Promise.all(topics.map((topic) => publish(sender, topic, messages)));
      await old.until(() => topics.every((topic) => offsetsOf(old, topic).length >= 50));
      const next = await clientOn(server.url, to, user, { encoding });
      const positions = positionsOf(old);
      await ok(resume(next, old, hasPositions ? positions : undefined));
      assert.equal(await old.closeCode(), 4503);
      await stream;
      for (const topic of topics) {
        if (positions[topic]!.offset === messages && hasPositions) continue; // the old one has got it all
        await next.until(() => offsetsOf(next, topic).includes(messages));
        const before = offsetsOf(old, topic);
        assert.deepEqual(before, upTo(before.length), 'what the old one got has no hole');
        const [first] = offsetsOf(next, topic);
        if (hasPositions) assert.equal(first, positions[topic]!.offset + 1);
        else assert.ok(first! <= before.length + 1, `${topic}: a hole before ${first}`);
        await gotOnce(next, topic, { first: first!, last: messages });
      }
      await bye(next, sender);
    });
  }
}

test('an inbox that is written to all the time goes from connection to connection without a loss', async () => {
  for (const home of [0, 1]) {
    const user = homedAt(home, (index) => `written-to-${index}`);
    const inbox = `inbox:${user}`;
    const sender = await clientOn(server.url, home, `writer-${home}`);
    const clients = [await clientOn(server.url, 0, user)];
    const got = () => new Set(clients.flatMap((client) => offsetsOf(client, inbox)));
    const stop = startStream(sender, [inbox]);
    for (let round = 1; round <= 4; round++) {
      const old = clients.at(-1)!;
      await old.until(() => offsetsOf(old, inbox).length >= 20);
      const next = await clientOn(server.url, round % 2, user);
      const has = offsetsOf(old, inbox);
      const seen = got();
      let offset = 0;
      while (seen.has(offset + 1)) offset++;
      const positions = { [inbox]: { ...positionsOf(old)[inbox]!, offset } };
      clients.push(next);
      await ok(resume(next, old, positions));
      assert.equal(await old.closeCode(), 4503);
      assert.equal(new Set(has).size, has.length);
    }
    const { [inbox]: last } = await stop();
    await eventually('all are there', () => got().size === last);
    for (const client of clients) {
      const offsets = offsetsOf(client, inbox);
      assert.equal(new Set(offsets).size, offsets.length, 'none comes twice on one connection');
    }
    await bye(clients.at(-1)!, sender);
  }
});

test('a session goes over six connections in the midst of publications, without a hole or a double', async () => {
  const topics = topicsOf('chain');
  const sender = await clientOn(server.url, 0, 'sender-chain');
  let old = await clientOn(server.url, 0, 'chain');
  for (const topic of topics) await ok(old.request('Subscribe', { topic }));
  const got = new Map(topics.map((topic) => [topic, [] as number[]]));
  let positions: Positions = {};
  const stop = startStream(sender, topics);
  for (let round = 1; round <= 6; round++) {
    await old.until(() => topics.every((topic) => offsetsOf(old, topic).length >= 20));
    positions = positionsOf(old, positions);
    for (const topic of topics) got.get(topic)!.push(...offsetsOf(old, topic));
    if (round % 3 === 0) await lose(server.url, old);
    const next = await clientOn(server.url, round % 2, 'chain');
    await ok(resume(next, old, positions));
    if (round % 3 !== 0) assert.equal(await old.closeCode(), 4503);
    old = next;
  }
  const last = await stop();
  for (const topic of topics) {
    await old.until(() => offsetsOf(old, topic).includes(last[topic]!));
    assert.deepEqual([...got.get(topic)!, ...offsetsOf(old, topic)], upTo(last[topic]!), topic);
  }
  await bye(old, sender);
});

test('after a second loss the session is resumed by its latest name, and by the one used before', async () => {
  for (const [home, shard, isLatest] of [
    [0, 0, true],
    [1, 1, true],
    [0, 1, false],
    [1, 0, false],
  ] as const) {
    const name = `second-${home}-${shard}-${isLatest}`;
    const user = homedAt(home, (index) => `${name}-${index}`);
    const topics = topicsOf(name);
    const sender = await clientOn(server.url, 0, `sender-${name}`);
    for (const topic of topics) await publish(sender, topic, 1);
    const first = await clientOn(server.url, shard, user);
    for (const topic of topics) await ok(first.request('Subscribe', { topic }));
    let lost = first;
    for (let round = 0; round < 3; round++) {
      await lose(server.url, lost);
      for (const topic of topics) await publish(sender, topic, 10);
      const next = await clientOn(server.url, (shard + round + 1) % 2, user);
      await ok(resume(next, isLatest ? lost : first));
      for (const topic of topics)
        await gotOnce(next, topic, { first: 2 + round * 10, last: 11 + round * 10 });
      lost = next;
    }
    await bye(lost, sender);
  }
});

test('of four that resume the same lost session at once one has it in the end, with everything', async () => {
  for (let round = 0; round < 6; round++) {
    const user = homedAt(round % 2, (index) => `wanted-${round}-${index}`);
    const topics = topicsOf(`wanted-${round}`);
    const sender = await clientOn(server.url, 0, `sender-wanted-${round}`);
    for (const topic of topics) await publish(sender, topic, 1);
    const lost = await clientOn(server.url, round % 2, user);
    for (const topic of topics) await ok(lost.request('Subscribe', { topic }));
    await lose(server.url, lost);
    for (const topic of topics) await publish(sender, topic, 5);
    const rivals = await Promise.all([0, 1, 0, 1].map((shard) => clientOn(server.url, shard, user)));
    const replies = rivals.map((rival) => resume(rival, lost, positionsOf(lost)).catch(() => undefined));
    await Promise.all(replies);
    await eventually('the others are sent away', () => rivals.filter(isAway).length === rivals.length - 1);
    const winner = rivals.find((rival) => !isAway(rival))!;
    for (const topic of topics) await publish(sender, topic, 2);
    for (const topic of topics) await gotOnce(winner, topic, { first: 2, last: 8 });
    await eventually(
      'one has the subscriptions',
      async () => (await metricOf(server.url, 'subscriptions_active')) === topics.length, // all others have left
    );
    const open = rivals.filter(({ closed }) => closed === undefined);
    for (const rival of open) if (rival !== winner) assert.deepEqual(entriesOf(rival, topics[0]!), []);
    await bye(sender, ...open);
  }
});

/** Refused, or replaced by another one. */
function isAway({ received, closed }: TestClient): boolean {
  return closed?.code === 4503 || received.some(({ data }) => data.code === 'resume_failed');
}
