/** The topic of broadcasts to everyone: no client meets it by name, and each broadcast arrives exactly once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const everyone = 'sys:all';
let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const boss = { roles: ['admin'] };
let broadcasts = 0;

/** One broadcast to everyone of a tenant; answers its payload when `client` has it. */
async function broadcast(client: TestClient): Promise<string> {
  const payload = `all-${++broadcasts}`;
  assert.equal((await client.request('Broadcast', { payload })).type, 'Status');
  await client.waitFor(({ data }) => data.payload === payload);
  return payload;
}

function isInvalidTopic({ type, data }: Envelope): void {
  assert.deepEqual([type, data.code, data.retryable], ['Error', 'invalid_topic', false]);
}

for (const encoding of ['json', 'msgpack'] as const) {
  test(`whatever order of Subscribe, Unsubscribe and broadcasts: each arrives exactly once, in ${encoding}`, async () => {
    const tenant = `order-${encoding}`;
    const connect = () =>
      TestClient.connect({ url: server.url, token: tokenOf('boss', { ...boss, tenant }), encoding });
    const clients = [await connect(), await connect(), await connect()];
    const [one] = clients as [TestClient, TestClient, TestClient];
    const sent: string[] = [];
    for (const steps of ['b', 'sb', 'ub', 'sub', 'usb', 'ssb', 'fb', 'fub', 'b']) {
      for (const step of steps) {
        if (step === 'b') sent.push(await broadcast(one));
        else if (step === 's') isInvalidTopic(await one.request('Subscribe', { topic: everyone }));
        else if (step === 'f')
          isInvalidTopic(await one.request('Subscribe', { topic: everyone, filter: { event: 'x' } }));
        else
          assert.equal((await one.request('Unsubscribe', { topic: everyone })).data.code, 'not_subscribed');
      }
    }
    for (const client of clients) {
      await client.waitFor(({ data }) => data.payload === sent.at(-1));
      await client.request('Ping');
      assert.deepEqual(
        client.ofType('Broadcast').map(({ data }) => data.payload),
        sent,
      );
    }
    await Promise.all(clients.map((client) => client.close()));
  });
}

test('one frame that subscribes to everyone, leaves it and broadcasts changes nothing of who gets it', async () => {
  const client = await TestClient.connect({
    url: server.url,
    token: tokenOf('boss', { ...boss, tenant: 'frame' }),
  });
  client.send([
    { type: 'Subscribe', id: 's', data: { topic: everyone } },
    { type: 'Unsubscribe', id: 'u', data: { topic: everyone } },
    { type: 'Broadcast', id: 'b', data: { payload: 'still here' } },
  ]);
  await client.waitFor(({ data }) => data.payload === 'still here');
  await client.request('Ping');
  assert.equal(client.ofType('Broadcast').length, 1);
  await client.close();
});

test('a session that tried to subscribe to everyone and left takes nothing from the others of its shard', async () => {
  const token = tokenOf('boss', { ...boss, tenant: 'leaving' });
  const stays = await TestClient.connect({ url: server.url, token });
  for (let round = 0; round < 4; round++) {
    const leaves = await TestClient.connect({ url: server.url, token });
    isInvalidTopic(await leaves.request('Subscribe', { topic: everyone }));
    await leaves.close();
  }
  await broadcast(stays);
  assert.equal(stays.ofType('Broadcast').length, 1);
  await stays.close();
});
