/** Who is in a topic, for those who ask to see and to be seen. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientsOnShards, type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { eventsOf, everyWay, homedAt, membersHeard, succeed } from './people.ts';

let server: TestServer;
before(async () => {
  // Longer than a goodbye takes on a busy machine: it is told before a loss.
  server = await startTestServer({ PRESENCE_GRACE: '3s' });
});
after(() => server.stop());

const connect = (user: string, claims: object = {}, encoding: 'json' | 'msgpack' = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user, claims), encoding });

const enter = (client: TestClient, topic: string) => succeed(client, 'Subscribe', { topic, presence: true });

const usersOf = (data: Envelope['data'][]) => data.map(({ user }) => user);

/** The newest change of a member is this one. */
function tells(client: TestClient, topic: string, user: string, event: string, count = 1): Promise<void> {
  return client.until(() => {
    const told = eventsOf(client, user, topic);
    return told.at(-1)?.event === event && told.filter((one) => one.event === event).length === count;
  });
}

for (const { encoding, home } of everyWay) {
  const way = `${encoding}, home on shard ${home}`;
  for (const form of ['live:room', 'room']) {
    test(`members are in the reply, and come and go for those who asked for it (${form}, ${way})`, async () => {
      const topic = homedAt(home, (index) => `${form}:${encoding}:${index}`);
      const other = encoding === 'json' ? 'msgpack' : 'json';
      const [ann, bob, plain] = [
        await connect('ann', {}, encoding),
        await connect('bob', {}, other),
        await connect('plain', {}, encoding),
      ];
      const alone = await enter(ann, topic);
      assert.deepEqual([usersOf(alone.members), alone.memberCount], [['ann'], 1]);
      const notAsked = await succeed(plain, 'Subscribe', { topic });
      assert.deepEqual([notAsked.members, notAsked.memberCount], [undefined, undefined]);

      await succeed(bob, 'Presence', { status: 'busy', device: { kind: 'tablet' }, meta: { seat: 4 } });
      const both = await enter(bob, topic);
      assert.deepEqual([usersOf(both.members), both.memberCount], [['ann', 'bob'], 2]);
      const [join] = [await tells(ann, topic, 'bob', 'join'), eventsOf(ann, 'bob', topic).at(-1)].slice(1);
      assert.deepEqual(join, {
        ...{ topic, user: 'bob', status: 'busy', event: 'join', meta: { seat: 4 } },
        devices: [{ kind: 'tablet', status: 'busy' }],
      });
      await succeed(bob, 'Presence', { status: 'away' });
      await tells(ann, topic, 'bob', 'change');
      assert.equal(eventsOf(ann, 'bob', topic).at(-1).status, 'away');
      await succeed(bob, 'Unsubscribe', { topic });
      await tells(ann, topic, 'bob', 'leave');
      await enter(bob, topic);
      await tells(ann, topic, 'bob', 'join', 2);
      await succeed(bob, 'Presence', { status: 'invisible' });
      await tells(ann, topic, 'bob', 'leave', 2);
      assert.equal((await succeed(plain, 'PresenceQuery', { topic })).memberCount, 1);
      await succeed(bob, 'Presence', { status: 'online' });
      await tells(ann, topic, 'bob', 'join', 3);
      bob.socket.close(1000);
      await tells(ann, topic, 'bob', 'leave', 3);

      await succeed(ann, 'Broadcast', { topic, payload: 'marker' });
      await plain.waitFor(({ type }) => type === 'Broadcast');
      assert.deepEqual(plain.ofType('Presence'), []);
      assert.deepEqual(membersHeard(ann, topic), { users: ['ann'], count: 1 });
      await Promise.all([ann, plain].map((client) => client.close()));
    });
  }
}

test('a member is there while one of their sessions is, and a moment longer when the last one was lost', async () => {
  const topic = homedAt(1, (index) => `live:twice:${index}`);
  const [ann, phone, laptop, marker] = [
    await connect('ann'),
    await connect('bob'),
    await connect('bob', {}, 'msgpack'),
    await connect('marker'),
  ];
  for (const client of [ann, phone, laptop, marker]) await enter(client, topic);
  await tells(ann, topic, 'marker', 'join');
  await succeed(phone, 'Unsubscribe', { topic });
  // His second device may have been told as a change as well.
  await ann.until(() => eventsOf(ann, 'bob', topic).at(-1)?.devices.length === 1);
  laptop.socket.terminate();
  marker.socket.close(1000);
  await tells(ann, topic, 'marker', 'leave');
  await tells(ann, topic, 'bob', 'leave');
  const last = ann.ofType('Presence').slice(-2);
  assert.deepEqual(
    last.map(({ data }) => [data.user, data.event]),
    [
      ['marker', 'leave'],
      ['bob', 'leave'],
    ],
    'a goodbye is told at once, a loss after the grace',
  );
  await Promise.all([ann, phone].map((client) => client.close()));
});

test('a query pages by name; it needs no subscription', async () => {
  for (const home of [0, 1]) {
    const topic = homedAt(home, (index) => `live:pages:${index}`);
    const members = ['a.1', 'b-2', 'C', 'd@x', 'e_5'];
    const clients = await Promise.all(members.map((name) => connect(name)));
    for (const client of clients) await enter(client, topic);
    const sorted = members.toSorted();
    const stranger = await connect('stranger', {}, 'msgpack');
    const page = (fields: object) => succeed(stranger, 'PresenceQuery', { topic, ...fields });
    const all = await page({});
    assert.deepEqual([usersOf(all.users), all.memberCount, all.hasMore], [sorted, 5, false]);
    const first = await page({ limit: 2 });
    assert.deepEqual([usersOf(first.users), first.memberCount, first.hasMore], [sorted.slice(0, 2), 5, true]);
    const rest = await page({ after: sorted[1], limit: 3 });
    assert.deepEqual([usersOf(rest.users), rest.hasMore], [sorted.slice(2), false]);
    assert.deepEqual(usersOf((await page({ after: 'c' })).users), ['d@x', 'e_5'], 'one who is not there');
    const behind = await page({ after: 'zz' });
    assert.deepEqual([behind.users, behind.hasMore, behind.memberCount], [[], false, 5]);
    const empty = await succeed(stranger, 'PresenceQuery', { topic: 'live:nowhere' });
    assert.deepEqual([empty.users, empty.memberCount, empty.hasMore], [[], 0, false]);
    await Promise.all([...clients, stranger].map((client) => client.close()));
  }
});

test('without presence of the topic one is no member, and the subscription is not made', async () => {
  const client = await connect('shy', { permissions: ['subscribe:*', 'presence:open:*'] });
  const refused = await client.request('Subscribe', { topic: 'live:closed', presence: true });
  assert.equal(refused.data.code, 'permission_denied');
  assert.match(refused.data.message, /presence:live:closed/);
  await succeed(client, 'Subscribe', { topic: 'live:closed' });
  await enter(client, 'open:1');
  const blind = await connect('blind', { permissions: ['presence:*'] });
  const unread = await blind.request('Subscribe', { topic: 'open:1', presence: true });
  assert.equal(unread.data.code, 'permission_denied', 'who may not read is not seen either');
  assert.deepEqual(usersOf((await succeed(blind, 'PresenceQuery', { topic: 'open:1' })).users), ['shy']);
  await Promise.all([client, blind].map((one) => one.close()));
});

test('the same topic name in two tenants has two lists of members', async () => {
  const [ours, theirs] = [await connect('ann', { tenant: 'one' }), await connect('eve', { tenant: 'two' })];
  for (const client of [ours, theirs]) {
    const { members } = await enter(client, 'live:shared');
    assert.equal(members.length, 1);
  }
  await Promise.all([ours, theirs].map((one) => one.close()));
});

test('a token that allows less ends the sight of members that it no longer allows', async () => {
  const topic = 'live:fading';
  const [watcher, control] = (await clientsOnShards(
    { url: server.url, token: tokenOf('fading') },
    [0, 0],
  )) as [TestClient, TestClient];
  for (const client of [watcher, control]) await enter(client, topic);
  await succeed(watcher, 'Auth', { token: tokenOf('fading', { permissions: ['subscribe:*'] }) });
  const late = await connect('late');
  await enter(late, topic);
  await tells(control, topic, 'late', 'join');
  await watcher.request('Ping');
  assert.deepEqual(eventsOf(watcher, 'late', topic), []);
  await Promise.all([watcher, control, late].map((one) => one.close()));
});
