/** Clients that change their mind before the home in another thread has answered. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HashRing } from '../../src/routing/hash-ring.ts';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { clientsOnShards, type TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const ring = new HashRing(2);
/** Topics at home on shard 1. */
function* topicsElsewhere(prefix: string): Generator<string> {
  for (let index = 0; ; index++) {
    if (ring.shardOf(`default|${prefix}:${index}`) === 1) yield `${prefix}:${index}`;
  }
}

async function open(user: string, encoding: 'json' | 'msgpack' = 'json'): Promise<[TestClient, TestClient]> {
  const clients = await clientsOnShards({ url: server.url, token: tokenOf(user), encoding }, [0, 0]);
  return clients as [TestClient, TestClient];
}

for (const encoding of ['json', 'msgpack'] as const) {
  test(`[SES4] Subscribe and Unsubscribe in one frame: both are answered in their order, and nothing is delivered, in ${encoding}`, async () => {
    const [client, sender] = await open(`hasty-${encoding}`, encoding);
    const topics = topicsElsewhere(`hasty-${encoding}`);
    const subscriptions = await metricOf(server.url, 'subscriptions_active');
    for (let round = 0; round < 20; round++) {
      const topic = topics.next().value as string;
      client.send([
        { type: 'Subscribe', id: `s${round}`, data: { topic } },
        { type: 'Unsubscribe', id: `u${round}`, data: { topic } },
      ]);
      const unsubscribed = await client.waitFor(({ id }) => id === `u${round}`);
      assert.deepEqual([unsubscribed.type, unsubscribed.data.topic], ['Status', topic]);
      const replies = client.ofType('Status').filter(({ id }) => id?.endsWith(String(round)));
      assert.deepEqual(
        replies.slice(-2).map(({ id, data }) => [id, data.op]),
        [
          [`s${round}`, 'Subscribe'],
          [`u${round}`, 'Unsubscribe'],
        ],
      );
      assert.equal((await sender.request('Broadcast', { topic, payload: round })).type, 'Status');
    }
    // Whatever was delivered by a home's mistake would come before this.
    const last = topics.next().value as string;
    await client.request('Subscribe', { topic: last });
    await sender.request('Broadcast', { topic: last, payload: 'last' });
    await client.waitFor(({ data }) => data.payload === 'last');
    assert.equal(client.ofType('Broadcast').length, 1);
    await client.request('Unsubscribe', { topic: last });
    assert.equal(await metricOf(server.url, 'subscriptions_active'), subscriptions);
    await Promise.all([client.close(), sender.close()]);
  });
}

test('[SES4] Subscribe, Unsubscribe, Subscribe in one frame is subscribed once', async () => {
  const [client, sender] = await open('fickle');
  const topic = topicsElsewhere('fickle').next().value as string;
  client.send([
    { type: 'Subscribe', id: 's1', data: { topic } },
    { type: 'Unsubscribe', id: 'u1', data: { topic } },
    { type: 'Subscribe', id: 's2', data: { topic } },
  ]);
  assert.equal((await client.waitFor(({ id }) => id === 's2')).type, 'Status');
  assert.equal((await client.waitFor(({ id }) => id === 's1')).type, 'Status');
  for (const payload of ['once', 'end']) await sender.request('Broadcast', { topic, payload });
  await client.waitFor(({ data }) => data.payload === 'end');
  assert.deepEqual(
    client.ofType('Broadcast').map(({ data }) => data.payload),
    ['once', 'end'],
  );
  assert.equal(await metricOf(server.url, 'subscriptions_active'), 1);
  await Promise.all([client.close(), sender.close()]);
  await eventually(
    'no subscription is left',
    async () => (await metricOf(server.url, 'subscriptions_active')) === 0,
  );
});
