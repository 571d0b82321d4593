/** [RES1] Sessions outlive the death of a shard: of their connection's, of their home, of both. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type SessionId, type Tenant, type UserId, userKey } from '#proto/names.ts';
import { SqliteHistoryStore } from '../../src/store/sqlite/sqlite-history-store.ts';
import { unpackObject } from '../../src/wire/codec.ts';
import { eventually } from '../kit/eventually.ts';
import {
  bye,
  clientOn,
  connectOf,
  gotOnce,
  homedAt,
  lose,
  ok,
  type Positions,
  positionsOf,
  publish,
  resume,
} from '../kit/resuming.ts';
import type { Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, testSecret } from '../kit/test-server.ts';

interface World {
  server: TestServer;
  reader: SqliteHistoryStore;
}

async function openWorld(settings: Record<string, string> = {}): Promise<World> {
  const dataDir = mkdtempSync(join(tmpdir(), 'carillon-resume-shards-'));
  const server = await startTestServer({ DATA_DIR: dataDir, JWT_SECRET: testSecret, ...settings });
  return { server, reader: new SqliteHistoryStore(dataDir, { readOnly: true }) };
}

async function closeWorld({ server, reader }: World): Promise<void> {
  await reader.close();
  await server.stop();
}

/** The store knows of the session with so many subscriptions. */
async function written({ reader }: World, client: TestClient, subscriptions: number): Promise<void> {
  const { sessionId, userId } = connectOf(client);
  const user = userKey('default' as Tenant, userId as UserId);
  await eventually('the session is in the store', async () => {
    const kept = await reader.kept({ session: sessionId as SessionId, user, nowMs: Date.now() });
    if (kept === null) return false;
    return (unpackObject(kept.state) as { subscriptions: unknown[] }).subscriptions.length === subscriptions;
  });
}

/** Shard 1 dies; resolves with a promise of its return. */
function kill(server: TestServer): () => Promise<unknown> {
  const backs = () => server.logs.filter(({ msg }) => msg === 'the shard is back').length;
  const before = backs();
  server.failpoint(1, 'shard.exit');
  return () => eventually('shard 1 is back', () => backs() > before);
}

/** Again while the home is being restarted. */
async function resumeSoon(
  client: TestClient,
  former: TestClient,
  positions: Positions,
): Promise<Envelope['data']> {
  const { type, data } = (await eventually('it is resumed, or refused for good', async () => {
    const reply = await resume(client, former, positions);
    return (reply.type === 'Status' || reply.data.retryable === false) && reply;
  })) as Envelope;
  assert.equal(type, 'Status', JSON.stringify(data));
  return data;
}

/** Connects to a shard that is there. */
async function connectSoon(url: string, shard: number, user: string): Promise<TestClient> {
  return (await eventually('a connection', () =>
    clientOn(url, shard, user).catch(() => undefined),
  )) as TestClient;
}

const durable = (name: string) => [0, 1].map((home) => homedAt(home, (index) => `room:${name}:${index}`));

for (const [connectionShard, home] of [
  [1, 0],
  [1, 1],
  [0, 1],
] as const) {
  for (const isAtOnce of [true, false]) {
    test(`shard 1 dies: connection on ${connectionShard}, home on ${home}, resumed ${isAtOnce ? 'at once' : 'later'}`, async (t) => {
      const world = await openWorld();
      const { server } = world;
      t.after(() => closeWorld(world));
      const user = homedAt(home, (index) => `victim-${index}`);
      const [here, there] = durable('dies') as [string, string];
      // Where the connection lives on, the subscription of a topic whose home died has ended, and that was said.
      const topics = [here, homedAt(0, (index) => `cache:dies:${index}`)];
      if (connectionShard === 1) topics.push(there);
      const forgotten = homedAt(1, (index) => `cache:forgotten:${index}`);
      const inbox = `inbox:${user}`;
      const sender = await clientOn(
        server.url,
        0,
        homedAt(0, (index) => `sender-${index}`),
      );
      for (const topic of [here, there, topics[1]!, forgotten, inbox]) await publish(sender, topic, 2);
      const victim = await clientOn(server.url, connectionShard, user);
      for (const topic of [here, there, topics[1]!, forgotten])
        await ok(victim.request('Subscribe', { topic }));
      await written(world, victim, 4);
      const positions = positionsOf(victim);
      const isBack = kill(server);
      if (connectionShard === 1) await victim.closeCode();
      if (!isAtOnce) await isBack();
      const next = await connectSoon(server.url, isAtOnce ? 0 : 1, user);
      const reply = await resumeSoon(next, victim, positions);
      if (connectionShard === 0) assert.equal(await victim.closeCode(), 4503);
      await isBack();
      const back = new Map(reply.topics.map((entry: Envelope['data']) => [entry.topic, entry.recovered]));
      assert.deepEqual(
        [...topics, inbox].map((topic) => [topic, back.get(topic)]),
        [...topics, inbox].map((topic) => [topic, true]),
      );
      await eventually(
        'the homes accept',
        async () => (await sender.request('Broadcast', { topic: there, payload: 'again' })).type === 'Status',
      );
      const counts = new Map([[there, 3]]);
      for (const topic of [...topics, inbox]) await publish(sender, topic, 5);
      for (const topic of [...topics, inbox])
        await gotOnce(next, topic, { first: 3, last: (counts.get(topic) ?? 2) + 5 });
      if (connectionShard === 1) assert.equal(back.get(forgotten), false, 'its log died with its home');
      await bye(next, sender);
    });
  }
}

test('a session whose home was restarted under it is resumed as it was told anew', async (t) => {
  const world = await openWorld();
  const { server } = world;
  t.after(() => closeWorld(world));
  const user = homedAt(1, (index) => `retold-${index}`);
  const topics = durable('retold');
  const sender = await clientOn(
    server.url,
    0,
    homedAt(0, (index) => `sender-${index}`),
  );
  for (const topic of topics) await publish(sender, topic, 2);
  const victim = await clientOn(server.url, 0, user);
  const filter = { event: { exists: false } };
  for (const topic of topics) await ok(victim.request('Subscribe', { topic, filter }));
  const isBack = kill(server);
  await isBack();
  // A subscription whose home died ends, and says so; the other goes on.
  await victim.waitFor(({ data }) => data.op === 'Subscription' && data.topic === topics[1]);
  await eventually(
    'it can be subscribed again',
    async () => (await victim.request('Subscribe', { topic: topics[1], filter })).type === 'Status',
  );
  const positions = positionsOf(victim);
  await lose(server.url, victim);
  for (const topic of topics) await publish(sender, topic, 5);
  const next = await clientOn(server.url, 1, user);
  await resumeSoon(next, victim, positions);
  for (const topic of topics) await gotOnce(next, topic, { first: 3, last: 7 });
  await bye(next, sender);
});

test('a session that died with its home is over after SESSION_TTL', async (t) => {
  const world = await openWorld({ SESSION_TTL: '1s' });
  const { server, reader } = world;
  t.after(() => closeWorld(world));
  const name = homedAt(1, (index) => `forgotten-${index}`);
  const victim = await clientOn(server.url, 1, name);
  await ok(victim.request('Subscribe', { topic: 'room:forgotten' }));
  await written(world, victim, 1);
  const isBack = kill(server);
  await victim.closeCode();
  await isBack();
  const { sessionId } = connectOf(victim);
  const user = userKey('default' as Tenant, name as UserId);
  await eventually('its time, and the store is told of it', async () => {
    return (await reader.kept({ session: sessionId as SessionId, user, nowMs: Date.now() })) === null;
  });
  const next = await clientOn(server.url, 0, name);
  const reply = await resume(next, victim);
  assert.equal(reply.data.code, 'resume_failed', JSON.stringify(reply.data));
  await bye(next);
});
