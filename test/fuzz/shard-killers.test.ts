/** Single frames that fuzzing found to end a whole shard, on a real server: each must cost its sender at most. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientsOnShards, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { pack } from '../unit/wire/msgpack-bytes.ts';

/** Connections on both shards must still be there, and be served, after `attack`. */
async function assertUnharmed(attack: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await startTestServer();
  try {
    await attackBesideOthers(server, attack);
  } finally {
    await server.stop();
  }
}

async function attackBesideOthers(
  server: TestServer,
  attack: (server: TestServer) => Promise<void>,
): Promise<void> {
  const bystanders = await clientsOnShards({ url: server.url, token: tokenOf('bystander') }, [0, 1]);
  await attack(server);
  for (const client of bystanders) assert.equal((await client.request('Ping')).type, 'Pong');
  assert.deepEqual(
    server.logs.filter(({ level }) => level === 'fatal'),
    [],
  );
  await Promise.all(bystanders.map((client) => client.close()));
}

test('a Ping without any token takes no shard down, whatever its fields are called', async () => {
  await assertUnharmed(async (server) => {
    const client = new TestClient({ url: server.url, encoding: 'msgpack' });
    await new Promise((resolve) => void client.socket.once('open', resolve));
    client.sendRaw(pack({ type: 'Ping', id: 'c1', data: { constructor: 0, toJSON: 1 } }));
    assert.equal((await client.waitFor(({ id }) => id === 'c1')).type, 'Pong');
    await client.close();
  });
});

test('a Broadcast takes no shard down, whatever stands in a field `from`', async () => {
  await assertUnharmed(async (server) => {
    const client = await TestClient.connect({ url: server.url, token: tokenOf('mallory') });
    const from = { toString: 1, valueOf: 1 };
    // Topics enough to have some at home on each shard.
    for (let index = 0; index < 8; index++) {
      const reply = await client.request('Broadcast', { topic: `any:${index}`, payload: 1, from });
      assert.equal(reply.type, 'Status');
    }
    await client.close();
  });
});
