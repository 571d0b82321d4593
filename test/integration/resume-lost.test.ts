/** [RES1] A connection that was lost: another one, on any shard, goes on where it ended. Real threads and sockets. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import {
  bye,
  clientOn,
  connectOf,
  entriesOf,
  gotOnce,
  homedAt,
  lose,
  ok,
  positionsOf,
  publish,
  resume,
} from '../kit/resuming.ts';
import type { Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer({ PRESENCE_GRACE: '30s' });
});
after(() => server.stop());

const encodings = ['json', 'msgpack'] as const;
const cases = encodings.flatMap((encoding) =>
  [0, 1].flatMap((home) => [true, false].map((hasPositions) => ({ encoding, home, hasPositions }))),
);

/** Durable and cached topics of both homes. */
const topicsOf = (name: string) =>
  [0, 1].flatMap((home) => [
    homedAt(home, (index) => `room:${name}:${index}`),
    homedAt(home, (index) => `cache:${name}:${index}`),
  ]);

for (const { encoding, home, hasPositions } of cases) {
  const name = `${encoding}-${home}-${hasPositions ? 'said' : 'unsaid'}`;
  test(`what was missed comes once, in order, behind the reply: ${encoding}, home ${home}, positions ${hasPositions}`, async () => {
    const user = homedAt(home, (index) => `lost-${name}-${index}`);
    const inbox = `inbox:${user}`;
    const logs = [...topicsOf(name), inbox];
    const live = [0, 1].map((shard) => homedAt(shard, (index) => `live:${name}:${index}`));
    const sender = await clientOn(server.url, home, `sender-${name}`);
    for (const topic of logs) await publish(sender, topic, 2);
    const lost = await clientOn(server.url, 0, user, { encoding });
    for (const topic of [...logs.slice(0, -1), ...live]) await ok(lost.request('Subscribe', { topic }));
    for (const topic of logs) await publish(sender, topic, 3);
    for (const topic of logs) await lost.until(() => entriesOf(lost, topic).length === 3);
    await lose(server.url, lost);
    for (const topic of logs) await publish(sender, topic, 12);
    for (const topic of live) await ok(sender.request('Broadcast', { topic, payload: 'missed' }));

    const stream = Promise.all(logs.map((topic) => publish(sender, topic, 40)));
    const next = await clientOn(server.url, 1, user, { encoding });
    // What a client says counts, also where it says that it has less.
    const positions = positionsOf(lost);
    const again = logs[0]!;
    positions[again] = { ...positions[again]!, offset: 4 };
    const reply = await ok(resume(next, lost, hasPositions ? positions : undefined));
    assert.equal(reply.resumed, true);
    const recovered = Object.fromEntries(reply.topics.map((entry: Envelope['data']) => [entry.topic, entry]));
    assert.deepEqual(Object.keys(recovered).sort(), [...logs, ...live].sort());
    for (const topic of logs) {
      assert.deepEqual([recovered[topic].recovered, recovered[topic].epoch], [true, positions[topic]!.epoch]);
      assert.ok(recovered[topic].offset >= 17);
    }
    for (const topic of live) assert.deepEqual(recovered[topic], { topic, recovered: false });
    await stream;
    for (const topic of logs)
      await gotOnce(next, topic, { first: hasPositions && topic === again ? 5 : 6, last: 57 });
    for (const topic of live) await ok(sender.request('Broadcast', { topic, payload: 'live' }));
    for (const topic of live) {
      await next.until(() => entriesOf(next, topic).length > 0);
      assert.deepEqual(
        entriesOf(next, topic).map(({ payload }) => payload),
        ['live'],
      );
    }
    await bye(next, sender);
  });
}

test('a connection of the same shard and one of another encoding take over as well', async () => {
  const sender = await clientOn(server.url, 0, 'sender-other');
  const topics = topicsOf('other');
  for (const topic of topics) await publish(sender, topic, 1);
  for (const [shard, encoding] of [
    [0, 'json'],
    [0, 'msgpack'],
    [1, 'msgpack'],
  ] as const) {
    const user = `other-${shard}-${encoding}`;
    const lost = await clientOn(server.url, 0, user);
    for (const topic of topics) await ok(lost.request('Subscribe', { topic }));
    const before = positionsOf(lost)[topics[0]!]!.offset;
    await lose(server.url, lost);
    for (const topic of topics) await publish(sender, topic, 5);
    const next = await clientOn(server.url, shard, user, { encoding });
    await ok(resume(next, lost));
    for (const topic of topics) await publish(sender, topic, 1);
    for (const topic of topics) await gotOnce(next, topic, { first: before + 1, last: before + 6 });
    await bye(next);
  }
  await bye(sender);
});

for (const encoding of encodings) {
  test(`a filter comes back, for what was missed and for what is live, in ${encoding}`, async () => {
    const sender = await clientOn(server.url, 1, 'sender-filter');
    const user = `filter-${encoding}`;
    const topics = topicsOf(user);
    for (const topic of topics) await publish(sender, topic, 1);
    const lost = await clientOn(server.url, 1, user, { encoding });
    const filter = { event: 'deploy', 'payload.n': { gt: 0 } };
    for (const topic of topics) await ok(lost.request('Subscribe', { topic, filter }));
    await lose(server.url, lost);
    const say = async (from: number) => {
      for (const topic of topics)
        for (let n = from; n < from + 6; n++)
          await ok(
            sender.request('Broadcast', { topic, payload: { n }, event: n % 2 === 0 ? 'deploy' : 'other' }),
          );
    };
    await say(0);
    const next = await clientOn(server.url, 0, user, { encoding });
    await ok(resume(next, lost));
    await say(6);
    for (const topic of topics) {
      await next.until(() => entriesOf(next, topic).at(-1)?.payload.n === 10);
      assert.deepEqual(
        entriesOf(next, topic).map(({ payload, offset }) => [payload.n, offset]),
        [2, 4, 6, 8, 10].map((n) => [n, n + 2]),
      );
    }
    await bye(next, sender);
  });
}

test('presence, membership and watched users come back, and nobody saw the user leave', async () => {
  const rooms = [0, 1].map((home) => homedAt(home, (index) => `room:presence:${index}`));
  const friends = [0, 1].map((home) => homedAt(home, (index) => `friend-${index}`));
  for (const home of [0, 1]) {
    const user = homedAt(home, (index) => `present-${index}`);
    const others = await Promise.all(friends.map((friend, shard) => clientOn(server.url, shard, friend)));
    const lost = await clientOn(server.url, 0, user);
    const device = { id: 'phone-1', kind: 'mobile', platform: 'ios' };
    await ok(lost.request('Presence', { status: 'busy', device, meta: { mood: 'good' } }));
    for (const topic of rooms) await ok(lost.request('Subscribe', { topic, presence: true }));
    await ok(lost.request('PresenceSubscribe', { users: friends }));
    for (const other of others) {
      for (const topic of rooms) await ok(other.request('Subscribe', { topic, presence: true }));
      await ok(other.request('PresenceSubscribe', { users: [user] }));
    }
    await lose(server.url, lost);
    const next = await clientOn(server.url, 1, user);
    const reply = await ok(resume(next, lost));
    for (const topic of rooms) {
      const entry = reply.topics.find((candidate: Envelope['data']) => candidate.topic === topic);
      assert.ok(entry.members.some((member: Envelope['data']) => member.user === user));
      assert.equal(entry.memberCount, 3);
    }
    for (const friend of friends)
      await next.waitFor(({ type, data }) => type === 'Presence' && data.user === friend);
    await isThere(others[1 - home]!, user, { status: 'busy', device, rooms, friends });
    await ok(others[0]!.request('Presence', { status: 'away' }));
    await next.waitFor(({ data }) => data.user === friends[0] && data.status === 'away');
    await ok(next.request('Presence', { status: 'online' }));
    for (const other of others) {
      await other.waitFor(
        ({ type, data }) => type === 'Presence' && data.user === user && data.status === 'online',
      );
      const told = other.ofType('Presence').filter(({ data }) => data.user === user);
      assert.deepEqual(
        told.filter(({ data }) => data.event === 'leave' || data.status === 'offline'),
        [],
      );
    }
    await bye(next, ...others);
  }
});

/** One device, in all rooms; as another asks for it. */
async function isThere(
  asking: TestClient,
  user: string,
  { status, device, rooms, friends }: { status: string; device: object; rooms: string[]; friends: string[] },
): Promise<void> {
  const [seen] = (await ok(asking.request('PresenceQuery', { users: [user] }))).users;
  assert.deepEqual([seen.status, seen.meta], [status, { mood: 'good' }]);
  assert.deepEqual(seen.devices, [{ ...device, status }]);
  for (const topic of rooms) {
    const { users, memberCount } = await ok(asking.request('PresenceQuery', { topic }));
    assert.equal(memberCount, 3);
    assert.deepEqual(users.map((member: Envelope['data']) => member.user).sort(), [user, ...friends].sort());
    const member = users.find((candidate: Envelope['data']) => candidate.user === user);
    assert.deepEqual(member.devices, [{ ...device, status }]);
  }
}

test('a lost connection whose home lives is taken over without a question to the store', async (t) => {
  const quiet = await startTestServer();
  t.after(() => quiet.stop());
  for (let round = 0; round < 8; round++) {
    const user = homedAt(round % 2, (index) => `quiet-${round}-${index}`);
    const lost = await clientOn(quiet.url, round % 2, user);
    await ok(lost.request('Subscribe', { topic: `room:quiet:${round}` }));
    await lose(quiet.url, lost);
    const next = await clientOn(quiet.url, (round >> 1) % 2, user);
    await ok(resume(next, lost));
    await bye(next);
  }
  await eventually(
    'all are counted',
    async () => (await metricOf(quiet.url, 'session_resumes_total{outcome="resumed"}')) === 8,
  );
  assert.equal(await metricOf(quiet.url, 'store_queries_total{query="kept"}'), 0);
  assert.equal(await metricOf(quiet.url, 'sessions_detached'), 0);
});

test('an inbox is caught up with before what comes live while the session is taken over', async () => {
  const sender = await clientOn(server.url, 0, 'sender-inbox');
  for (const home of [0, 1]) {
    const user = homedAt(home, (index) => `caught-up-${index}`);
    const inbox = `inbox:${user}`;
    const lost = await clientOn(server.url, home, user);
    for (let index = 0; index < 100; index++)
      await ok(lost.request('Subscribe', { topic: `room:many:${index}` }));
    await lose(server.url, lost);
    await publish(sender, inbox, 20);
    const next = await clientOn(server.url, 1 - home, user);
    assert.equal(connectOf(next).inbox.offset, 20);
    const resumed = ok(resume(next, lost));
    await Promise.all([resumed, publish(sender, inbox, 40)]);
    await next.until(() => entriesOf(next, inbox).length >= 60);
    await gotOnce(next, inbox, { first: 1, last: 60 });
    await bye(next);
  }
  await bye(sender);
});

test('a cached topic that was empty when its last subscriber was lost is caught up with', async () => {
  const sender = await clientOn(server.url, 0, 'sender-empty');
  const topic = 'cache:empty:1';
  const lost = await clientOn(server.url, 0, 'empty');
  await ok(lost.request('Subscribe', { topic }));
  await lose(server.url, lost);
  await publish(sender, topic, 3);
  const next = await clientOn(server.url, 1, 'empty');
  const reply = await ok(resume(next, lost, positionsOf(lost)));
  assert.equal(reply.topics.find((entry: Envelope['data']) => entry.topic === topic).recovered, true);
  await gotOnce(next, topic, { first: 1, last: 3 });
  await bye(next, sender);
});
