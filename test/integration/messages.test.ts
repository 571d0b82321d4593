/** Messages between real clients on different shards, in both encodings. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientsOnShards, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

async function clientsEverywhere(count: number, user: (index: number) => string): Promise<TestClient[]> {
  return Promise.all(
    Array.from({ length: count }, (_, index) =>
      TestClient.connect({
        url: server.url,
        token: tokenOf(user(index)),
        encoding: index % 2 === 0 ? 'json' : 'msgpack',
      }),
    ),
  );
}

test('[FAN1] a thousand messages reach sixteen clients of both encodings on all shards, in order', async () => {
  const clients = await clientsEverywhere(16, (index) => `reader-${index}`);
  assert.deepEqual([...new Set(clients.map((client) => client.shard))].sort(), [0, 1]);
  await Promise.all(clients.map((client) => client.request('Subscribe', { topic: 'order:a' })));
  const [sender] = await clientsEverywhere(1, () => 'sender');
  const count = 1000;
  for (let index = 0; index < count; index++) {
    sender!.send({ type: 'Broadcast', id: `m${index}`, data: { topic: 'order:a', payload: { index } } });
  }
  await sender!.until(() => sender!.ofType('Status').length === count + 1);
  for (const client of clients) {
    await client.until(() => client.ofType('Broadcast').length === count);
    assert.deepEqual(
      client.ofType('Broadcast').map((envelope) => envelope.data.payload.index),
      Array.from({ length: count }, (_, i) => i),
    );
    const { id, data } = client.ofType('Broadcast')[0]!;
    assert.equal(data.from, 'sender');
    assert.equal(id, sender!.received.find((envelope) => envelope.id === 'm0')!.data.messageId);
  }
  await Promise.all([...clients, sender!].map((client) => client.close()));
});

test('a direct message reaches all devices of both users, except the sending one', async () => {
  const options = { url: server.url, token: tokenOf('ann') };
  const [annPhone, annLaptop] = await clientsOnShards(options, [0, 1]);
  const [benPhone, benLaptop] = await clientsOnShards(
    { url: server.url, token: tokenOf('ben'), encoding: 'msgpack' },
    [0, 1],
  );
  const reply = await annPhone!.request('DirectMessage', { to: 'ben', payload: { text: 'hi' } });
  assert.equal(reply.type, 'Status');
  for (const client of [benPhone!, benLaptop!, annLaptop!]) {
    const { id, data } = await client.waitFor((envelope) => envelope.type === 'DirectMessage');
    assert.equal(id, reply.data.messageId);
    assert.deepEqual(
      { from: data.from, to: data.to, payload: data.payload },
      { from: 'ann', to: 'ben', payload: { text: 'hi' } },
    );
    assert.equal(data.topic, client === annLaptop ? 'inbox:ann' : 'inbox:ben');
  }
  await annPhone!.request('Ping');
  assert.equal(annPhone!.ofType('DirectMessage').length, 0);
});
