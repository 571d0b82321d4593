/** [RES1] Sessions outlive the process: drained or killed, on the same data, embedded and in PostgreSQL. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type SessionId, type Tenant, type UserId, userKey } from '#proto/names.ts';
import { SqliteHistoryStore } from '../../src/store/sqlite/sqlite-history-store.ts';
import { unpackObject } from '../../src/wire/codec.ts';
import { withClient } from '../contract/postgres-databases.ts';
import { type ChildServer, startChildServer } from '../kit/child-server.ts';
import { eventually } from '../kit/eventually.ts';
import { startPostgres } from '../kit/postgres.ts';
import {
  bye,
  clientOn,
  connectOf,
  gotOnce,
  homedAt,
  ok,
  positionsOf,
  publish,
  resume,
} from '../kit/resuming.ts';
import type { Envelope, TestClient } from '../kit/test-client.ts';

interface Store {
  settings: Record<string, string>;
  /** What the store has of a session; undefined: nothing. */
  stateOf(client: TestClient): Promise<Uint8Array | undefined>;
}

async function openStore(t: TestContext, backend: 'SQLite' | 'PostgreSQL'): Promise<Store> {
  const dataDir = mkdtempSync(join(tmpdir(), 'carillon-resume-'));
  if (backend === 'PostgreSQL') {
    const postgres = await startPostgres();
    t.after(() => postgres.close());
    const sql = 'SELECT state FROM sessions WHERE session_id = $1';
    return {
      settings: { DATA_DIR: dataDir, DATABASE_URL: postgres.url },
      stateOf: (client) =>
        withClient(postgres.url, async (database) => {
          const { rows } = await database.query(sql, [connectOf(client).sessionId]);
          return (rows as { state: Uint8Array }[])[0]?.state;
        }),
    };
  }
  return {
    settings: { DATA_DIR: dataDir },
    async stateOf(client) {
      const reader = new SqliteHistoryStore(dataDir, { readOnly: true });
      const { sessionId, userId } = connectOf(client);
      const user = userKey('default' as Tenant, userId as UserId);
      const kept = await reader.kept({ session: sessionId as SessionId, user, nowMs: Date.now() });
      await reader.close();
      return kept?.state;
    },
  };
}

const topics = [0, 1].map((home) => homedAt(home, (index) => `room:restart:${index}`));
const filtered = 'room:filtered';
const forgotten = 'cache:forgotten';
const device = { id: 'phone-1', kind: 'mobile', platform: 'ios' };

/** With subscriptions, one of them filtered, a presence, a watched user, and some messages of each topic. */
async function begin(
  url: string,
  shard: number,
  user: string,
  encoding: 'json' | 'msgpack',
): Promise<TestClient> {
  const client = await clientOn(url, shard, user, { encoding });
  for (const topic of [...topics, forgotten]) await ok(client.request('Subscribe', { topic }));
  await ok(client.request('Subscribe', { topic: filtered, filter: { event: 'deploy' }, presence: true }));
  await ok(client.request('Presence', { status: 'busy', device, meta: { mood: 'good' } }));
  await ok(client.request('PresenceSubscribe', { users: ['friend'] }));
  return client;
}

async function say(sender: TestClient, users: string[], count: number): Promise<void> {
  for (const topic of [...topics, ...users.map((user) => `inbox:${user}`)])
    await publish(sender, topic, count);
  for (let index = 0; index < count; index++)
    for (const event of ['deploy', 'other'])
      await ok(sender.request('Broadcast', { topic: filtered, payload: event, event }));
}

/** Everything is back on `client`, behind what it had: `had` messages of each. */
async function isBack(client: TestClient, reply: Envelope['data'], last: number, had: number): Promise<void> {
  const { userId } = connectOf(client);
  const inbox = `inbox:${userId}`;
  const recovered = new Map(reply.topics.map((entry: Envelope['data']) => [entry.topic, entry.recovered]));
  assert.deepEqual(
    [...topics, filtered, inbox, forgotten].map((topic) => [topic, recovered.get(topic)]),
    [...topics, filtered, inbox].map((topic) => [topic, true]).concat([[forgotten, false]]),
  );
  for (const topic of [...topics, inbox]) await gotOnce(client, topic, { first: had + 1, last });
  const deploys = () =>
    client.received.filter(({ data }) => data.topic === filtered && data.payload === 'deploy');
  await client.until(() => deploys().length >= last - had);
  assert.deepEqual(
    client.received.filter(({ data }) => data.topic === filtered && data.payload !== undefined),
    deploys(),
    'the filter holds',
  );
  assert.equal(deploys().length, last - had);
}

for (const backend of ['SQLite', 'PostgreSQL'] as const) {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`sessions are resumed after ${signal} and a restart, on ${backend}`, async (t) => {
      const { settings, stateOf } = await openStore(t, backend);
      let server: ChildServer = await startChildServer(settings);
      t.after(() => server.process.kill('SIGKILL'));
      const users = [0, 1].map((home) => homedAt(home, (index) => `restarted-${index}`));
      const sender = await clientOn(server.url, 0, 'sender');
      const lost = await Promise.all(
        users.map((user, index) => begin(server.url, 1 - index, user, index === 0 ? 'json' : 'msgpack')),
      );
      await say(sender, users, 2);
      for (const client of lost)
        await client.until(() =>
          client.received.some(
            ({ data }) => data.topic === `inbox:${connectOf(client).userId}` && data.offset === 2,
          ),
        );
      for (const client of lost)
        await client.until(() => topics.every((topic) => positionsOf(client)[topic]!.offset === 2));
      for (const client of lost)
        await eventually('the session is in the store', () => isWritten(client, stateOf));
      const positions = lost.map((client) => positionsOf(client));
      await stopWith(server, signal);
      for (const client of lost) assert.equal(await client.closeCode(), signal === 'SIGTERM' ? 4000 : 1006);

      server = await startChildServer(settings);
      const again = await clientOn(server.url, 1, 'sender');
      await say(again, users, 3);
      const friend = await clientOn(server.url, 0, 'friend');
      for (const [index, user] of users.entries()) {
        const next = await clientOn(server.url, index, user);
        // Who was drained was told where it is; of who was killed nobody knows but its client.
        const reply = await ok(
          resume(next, lost[index]!, signal === 'SIGTERM' ? undefined : positions[index]!),
        );
        await isBack(next, reply, 5, 2);
        const [seen] = (await ok(friend.request('PresenceQuery', { users: [user] }))).users;
        assert.deepEqual(
          [seen.status, seen.devices, seen.meta],
          ['busy', [{ ...device, status: 'busy' }], { mood: 'good' }],
        );
        const members = (await ok(friend.request('PresenceQuery', { topic: filtered }))).users;
        assert.ok(members.some((member: Envelope['data']) => member.user === user));
        await ok(friend.request('Presence', { status: index === 0 ? 'away' : 'busy' }));
        await next.waitFor(
          ({ type, data }) =>
            type === 'Presence' && data.user === 'friend' && data.status === (index === 0 ? 'away' : 'busy'),
        );
        const thief = await clientOn(server.url, 1 - index, user);
        await bye(next);
        await bye(thief);
      }
      await bye(again, friend);
      assert.equal(await server.terminate(), 0);
    });
  }
}

async function isWritten(client: TestClient, stateOf: Store['stateOf']): Promise<boolean> {
  const state = await stateOf(client);
  if (state === undefined) return false;
  const told = unpackObject(state) as {
    subscriptions: unknown[];
    watching: unknown[];
    presence?: { status: string };
  };
  return told.subscriptions.length === 4 && told.watching.length === 1 && told.presence?.status === 'busy';
}

async function stopWith(server: ChildServer, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (signal === 'SIGTERM') {
    assert.equal(await server.terminate(), 0);
    return;
  }
  const exit = once(server.process, 'exit');
  server.process.kill('SIGKILL');
  await exit;
}

test('[RES3] after SIGKILL and without positions the server says that it does not know, and delivers what comes', async (t) => {
  const { settings, stateOf } = await openStore(t, 'SQLite');
  let server: ChildServer = await startChildServer(settings);
  t.after(() => server.process.kill('SIGKILL'));
  const lost = await begin(server.url, 0, 'unknown', 'json');
  await eventually('the session is in the store', () => isWritten(lost, stateOf));
  await stopWith(server, 'SIGKILL');
  server = await startChildServer(settings);
  const next = await clientOn(server.url, 1, 'unknown');
  const reply = await ok(resume(next, lost));
  for (const entry of reply.topics) assert.equal(entry.recovered, false, entry.topic);
  const sender = await clientOn(server.url, 0, 'sender');
  for (const topic of topics) await publish(sender, topic, 1);
  for (const topic of topics) await gotOnce(next, topic, { first: 1, last: 1 });
  await bye(next, sender);
  assert.equal(await server.terminate(), 0);
});
