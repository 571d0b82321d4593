/** Shards that die while people are watched: the watchers come to the truth, and nobody stays who is gone. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { FailpointName } from '#proto/control.ts';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { clientsOnShards, type Envelope, type TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { eventsOf, homedAt, lastHeard, membersHeard, succeed } from './people.ts';

let server: TestServer;
before(async () => {
  // A shard that merely waits for its turn on a busy machine must not pass for one that hangs.
  server = await startTestServer({ STALL_TIMEOUT: '4s', PRESENCE_GRACE: '1s' });
});
after(() => server.stop());

async function onShard(
  user: string,
  shard: number,
  encoding: 'json' | 'msgpack' = 'json',
): Promise<TestClient> {
  const [client] = await clientsOnShards({ url: server.url, token: tokenOf(user), encoding }, [shard]);
  return client as TestClient;
}

/** Breaks shard 1 and resolves with a promise of its return. */
async function breaks(how: FailpointName): Promise<() => Promise<unknown>> {
  const restarts = await metricOf(server.url, 'shard_restarts_total');
  server.failpoint(1, how);
  return () =>
    eventually('shard 1 is back', async () => {
      const isRestarted = (await metricOf(server.url, 'shard_restarts_total')) > restarts;
      return isRestarted && (await metricOf(server.url, 'shard_up{shard="1"}')) === 1;
    });
}

/** Until the reply is a success: a home that is being restarted is busy. */
async function insist(client: TestClient, type: string, data: object): Promise<Envelope['data']> {
  const reply = await eventually(`${type} succeeds`, async () => {
    const answer = await client.request(type, data);
    return answer.type === 'Status' && answer;
  });
  return (reply as Envelope).data;
}

for (const how of ['shard.exit', 'shard.throw', 'shard.hang'] as const) {
  test(`watchers of users come to the truth after ${how}`, async () => {
    // Of both homes, and connected to both shards.
    const people = [0, 1].flatMap((home) =>
      [0, 1].map((shard) => ({
        ...{ shard, name: homedAt(home, (index) => `${how}-${home}${shard}-${index}`) },
      })),
    );
    const users = people.map(({ name }) => name);
    const clients = new Map<string, TestClient>();
    for (const { name, shard } of people) clients.set(name, await onShard(name, shard));
    const watchers = [await onShard('watcher', 0), await onShard('watcher', 0, 'msgpack')];
    for (const watcher of watchers) {
      const reply = await succeed(watcher, 'PresenceSubscribe', { users });
      assert.ok(reply.users.every(({ status }: Envelope['data']) => status === 'online'));
    }
    const isBack = await breaks(how);
    for (const { name, shard } of people) if (shard === 1) await clients.get(name)?.closeCode();
    await isBack();

    const truth = people.map(({ shard }) => (shard === 0 ? 'online' : 'offline'));
    const says = (watcher: TestClient) => users.map((user) => lastHeard(watcher, user)).join();
    for (const watcher of watchers) {
      await eventually('the watcher heard the truth', () => says(watcher) === truth.join());
      for (const { name, shard } of people) {
        const leaves = eventsOf(watcher, name).filter(({ event }) => event === 'leave').length;
        assert.equal(leaves, shard, `${name} left ${leaves} times`);
      }
    }
    const stranger = await onShard('stranger', 1);
    const asked = await insist(stranger, 'PresenceQuery', { users });
    assert.deepEqual(
      asked.users.map(({ status }: Envelope['data']) => status),
      truth,
    );
    for (const { name, shard } of people) if (shard === 1) clients.set(name, await onShard(name, 1));
    for (const watcher of watchers)
      await eventually('all are back', () => users.every((user) => lastHeard(watcher, user) === 'online'));
    await Promise.all([...clients.values(), ...watchers, stranger].map((client) => client.close()));
  });

  test(`members of topics on the shard of ${how} leave; the topics that it was home of say that they ended`, async () => {
    const [here, there] = [0, 1].map((home) => homedAt(home, (index) => `live:${how}:${index}`)) as [
      string,
      string,
    ];
    const watcher = await onShard('seer', 0);
    const other = await onShard('other', 0, 'msgpack');
    const plain = await onShard('plain', 0);
    const victim = await onShard('victim', 1);
    for (const topic of [here, there]) {
      for (const client of [victim, other, watcher])
        await succeed(client, 'Subscribe', { topic, presence: true });
      await succeed(plain, 'Subscribe', { topic });
      assert.deepEqual(membersHeard(watcher, topic).users, ['other', 'seer', 'victim']);
    }
    const isBack = await breaks(how);
    await victim.closeCode();
    const ended = await watcher.waitFor(({ data }) => data.op === 'Subscription' && data.topic === there);
    assert.equal(ended.data.active, false);
    assert.match(ended.data.reason, /home.*lost/);
    await isBack();
    await eventually('it left', () => membersHeard(watcher, here).users.join() === 'other,seer');
    await other.waitFor(({ data }) => data.op === 'Subscription' && data.topic === there);
    for (const client of [other, watcher])
      await insist(client, 'Subscribe', { topic: there, presence: true });
    for (const client of [other, watcher]) {
      await eventually('the truth', () => membersHeard(client, there).users.join() === 'other,seer');
      assert.equal(membersHeard(client, there).count, 2);
    }
    const asked = await insist(plain, 'PresenceQuery', { topic: there });
    assert.deepEqual([asked.memberCount, asked.users.length], [2, 2]);
    const endings = (client: TestClient) => client.received.filter(({ data }) => data.op === 'Subscription');
    assert.deepEqual([endings(plain).length, endings(watcher).length], [0, 1]);
    assert.deepEqual(
      eventsOf(watcher, 'victim', here)
        .map(({ event }) => event)
        .filter((event) => event === 'leave'),
      ['leave'],
    );
    await Promise.all([watcher, other, plain].map((client) => client.close()));
  });
}
