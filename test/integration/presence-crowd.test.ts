/** A topic with more members than a list holds: numbers and pages instead of who comes and goes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { eventsOf, homedAt, membersHeard, succeed } from './people.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer({ PRESENCE_GRACE: '200ms' });
});
after(() => server.stop());

const connect = (user: string, encoding: 'json' | 'msgpack' = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user), encoding });
const enter = (client: TestClient, topic: string) => succeed(client, 'Subscribe', { topic, presence: true });
const nameOf = (index: number) => `member-${String(index).padStart(3, '0')}`;

/** `count` users, each a member of the topic. */
async function crowd(topic: string, count: number): Promise<TestClient[]> {
  const clients = await Promise.all(
    Array.from({ length: count }, (_, index) => connect(nameOf(index), index % 2 === 0 ? 'json' : 'msgpack')),
  );
  await Promise.all(clients.map((client) => enter(client, topic)));
  return clients;
}

const countsOf = (client: TestClient, topic: string): number[] =>
  client
    .ofType('Presence')
    .filter(({ data }) => data.topic === topic && data.memberCount !== undefined)
    .map(({ data }) => data.memberCount);

async function namesByPages(client: TestClient, topic: string): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const after = names.at(-1);
    const query = { topic, limit: 90, ...(after === undefined ? {} : { after }) };
    const { users, hasMore } = await succeed(client, 'PresenceQuery', query);
    names.push(...users.map(({ user }: Envelope['data']) => user));
    if (!hasMore) return names;
  }
}

for (const home of [0, 1]) {
  test(`beyond two hundred members only their number is told (home on shard ${home})`, async () => {
    const topic = homedAt(home, (index) => `live:crowd:${index}`);
    const watchers = [await connect('watcher-j'), await connect('watcher-m', 'msgpack')];
    for (const watcher of watchers) await enter(watcher, topic);
    const clients = await crowd(topic, 203);
    for (const watcher of watchers) {
      await eventually('the number is told', () => countsOf(watcher, topic).at(-1) === 205);
      const joins = watcher.ofType('Presence').filter(({ data }) => data.event === 'join');
      assert.ok(joins.length <= 200, `${joins.length} were named`);
    }
    const late = await connect('zoe');
    const reply = await enter(late, topic);
    assert.deepEqual([reply.members.length, reply.memberCount], [0, 206]);
    assert.deepEqual(await namesByPages(late, topic), [
      ...Array.from({ length: 203 }, (_, index) => nameOf(index)),
      ...['watcher-j', 'watcher-m', 'zoe'],
    ]);
    const whole = await succeed(late, 'PresenceQuery', { topic });
    assert.deepEqual([whole.users.length, whole.memberCount, whole.hasMore], [200, 206, true]);

    const [changing, leaving] = [clients[0] as TestClient, clients[1] as TestClient];
    await succeed(changing, 'Presence', { status: 'busy' });
    leaving.socket.close(1000);
    for (const watcher of watchers) {
      await eventually('the number is told again', () => countsOf(watcher, topic).at(-1) === 205);
      const told = watcher.ofType('Presence').filter(({ data }) => data.memberCount === 206);
      assert.ok(
        told.length <= 2 && told.every(({ data }) => data.user === undefined && data.event === 'change'),
      );
      assert.ok(eventsOf(watcher, nameOf(0), topic).every(({ status }) => status === 'online'));
      assert.ok(eventsOf(watcher, nameOf(1), topic).every(({ event }) => event === 'join'));
    }
    await Promise.all([...clients, ...watchers, late].map((client) => client.close()));
  });
}

test('when a large topic has become a small one, what was told of it comes to the truth', async () => {
  const topic = homedAt(0, (index) => `live:shrinking:${index}`);
  const watcher = await connect('a-watcher');
  await enter(watcher, topic);
  const clients = await crowd(topic, 205);
  await eventually('the number is told', () => countsOf(watcher, topic).at(-1) === 206);
  for (const client of clients.slice(60)) client.socket.close(1000);
  const asker = await connect('asker');
  await eventually('they are gone', async () => {
    const { memberCount } = await succeed(asker, 'PresenceQuery', { topic });
    return memberCount === 61;
  });
  await eventually(
    'the watcher knows how many are left',
    () => membersHeard(watcher, topic).count === 61,
  ).catch(() => assert.equal(membersHeard(watcher, topic).count, 61));
  await Promise.all([...clients, watcher, asker].map((client) => client.close()));
});
