/** Durable topics: committed before they are acked and delivered, with offsets, and there after everything that dies. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { storePeer } from '#proto/names.ts';
import { HashRing } from '../../src/routing/hash-ring.ts';
import { startChildServer } from '../kit/child-server.ts';
import { eventually } from '../kit/eventually.ts';
import { clientsOnShards, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const configFile = join(mkdtempSync(join(tmpdir(), 'carillon-rules-')), 'config.json');
writeFileSync(configFile, JSON.stringify({ topics: [{ match: 'log:*', class: 'durable' }] }));

let server: TestServer;
before(async () => {
  server = await startTestServer({ CARILLON_CONFIG: configFile });
});
after(() => server.stop());

interface Stored {
  id: string;
  offset: number;
  from: string;
  payload: unknown;
  event?: string;
}

/** Everything that is stored of a topic, page by page. */
async function everything(client: TestClient, topic: string): Promise<Stored[]> {
  const all: Stored[] = [];
  for (;;) {
    const reply = await client.request('History', { topic, after: all.at(-1)?.offset ?? 0, limit: 200 });
    assert.equal(reply.type, 'Status', JSON.stringify(reply.data));
    const { messages, hasMore } = reply.data as unknown as { messages: Stored[]; hasMore: boolean };
    all.push(...messages);
    if (!hasMore) return all;
  }
}

for (const encoding of ['json', 'msgpack'] as const) {
  test(`[DUR1] a message gets its offset before it is acked and delivered, wherever its home is, in ${encoding}`, async () => {
    const options = { url: server.url, token: tokenOf('ann'), encoding };
    const [one, two] = (await clientsOnShards(options, [0, 1])) as [TestClient, TestClient];
    for (const topic of ['log:1', 'log:2', 'log:3', 'log:4'].map((name) => `${name}-${encoding}`)) {
      assert.equal((await two.request('Subscribe', { topic })).data['class'], 'durable');
      const acks = await Promise.all(
        [1, 2, 3].map((payload) => one.request('Broadcast', { topic, payload, event: 'said' })),
      );
      assert.deepEqual(
        acks.map(({ data }) => data.offset),
        [1, 2, 3],
      );
      assert.equal(new Set(acks.map(({ data }) => data.epoch)).size, 1);
      const delivered = () => two.ofType('Broadcast').filter(({ data }) => data.topic === topic);
      await two.until(() => delivered().length === 3);
      assert.deepEqual(
        delivered().map(({ id, data }) => [id, data.offset, data.payload]),
        acks.map(({ data }, index) => [data.messageId, index + 1, index + 1]),
      );
      assert.deepEqual(
        (await everything(one, topic)).map(({ id, offset, from, payload, event }) => [
          id,
          offset,
          from,
          payload,
          event,
        ]),
        acks.map(({ data }, index) => [data.messageId, index + 1, 'ann', index + 1, 'said']),
      );
    }
    await Promise.all([one.close(), two.close()]);
  });
}

test('[DUR2] a key answers with the first result, another body under it is a conflict', async () => {
  const client = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
  const first = await client.request('Broadcast', { topic: 'log:keys', payload: 1, key: 'k' });
  const again = await client.request('Broadcast', { topic: 'log:keys', payload: 1, key: 'k' });
  const { messageId, offset, duplicate } = again.data;
  assert.deepEqual([messageId, offset, duplicate], [first.data.messageId, 1, true]);
  const other = await client.request('Broadcast', { topic: 'log:keys', payload: 2, key: 'k' });
  assert.equal(other.data.code, 'key_conflict');
  assert.equal((await everything(client, 'log:keys')).length, 1);
  await client.close();
});

test('[DUR1] the HTTP API answers with the place in the log, too, under the keys of the same sender', async () => {
  const publish = async (payload: number) => {
    const response = await fetch(`http://${server.url}/api/v1/publish`, {
      method: 'POST',
      headers: { authorization: `Bearer ${tokenOf('ann')}`, 'content-type': 'application/json' },
      body: JSON.stringify({ topic: 'log:http', payload, key: `k${payload}` }),
    });
    return (await response.json()) as { offset: number; epoch: string; duplicate: boolean };
  };
  const [first, second, again] = [await publish(1), await publish(2), await publish(1)];
  assert.deepEqual([first.offset, second.offset, again.offset], [1, 2, 1]);
  assert.deepEqual([first.duplicate, again.duplicate, again.epoch], [false, true, first.epoch]);
});

test('history is read with the permission, in pages, and is empty where nothing is stored', async () => {
  const client = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
  for (let payload = 1; payload <= 5; payload++)
    await client.request('Broadcast', { topic: 'log:pages', payload });
  const page = async (data: object) => {
    const reply = await client.request('History', { topic: 'log:pages', ...data });
    const { messages, hasMore, lastOffset } = reply.data as unknown as {
      messages: Stored[];
      hasMore: boolean;
      lastOffset: number;
    };
    return [messages.map(({ offset }) => offset), hasMore, lastOffset];
  };
  assert.deepEqual(await page({ limit: 2 }), [[4, 5], true, 5]);
  assert.deepEqual(await page({ before: 4, limit: 5 }), [[1, 2, 3], false, 5]);
  assert.deepEqual(await page({ after: 1, limit: 2 }), [[2, 3], true, 5]);
  assert.deepEqual(await page({}), [[1, 2, 3, 4, 5], false, 5]);
  const codeOf = async (data: object) => (await client.request('History', data)).data.code;
  assert.deepEqual(await page({ after: 1, before: 4 }), [[2, 3], false, 5]);
  assert.equal(await codeOf({ topic: 'log:pages', limit: 201 }), 'bad_request');
  assert.equal(await codeOf({ topic: 'log:pages', before: 0 }), 'bad_request');
  assert.equal(await codeOf({ topic: 'inbox:ben' }), 'permission_denied');
  assert.deepEqual((await client.request('History', { topic: 'chat:volatile' })).data['messages'], []);
  const reader = await TestClient.connect({
    url: server.url,
    token: tokenOf('eve', { permissions: ['history:x'] }),
  });
  assert.equal((await reader.request('History', { topic: 'log:pages' })).data.code, 'permission_denied');
  await Promise.all([client.close(), reader.close()]);
});

test('[DUR5] when its home dies a subscription ends with a reason, and nothing between the two is missing', async () => {
  const ring = new HashRing(2);
  const names = Array.from({ length: 20 }, (_, index) => `log:home-${index}`);
  const topic = names.find((name) => ring.shardOf(`default|${name}`) === 1) as string;
  const [reader, writer] = await clientsOnShards({ url: server.url, token: tokenOf('ann') }, [0, 0]);
  await reader!.request('Subscribe', { topic });
  await reader!.request('Subscribe', { topic: 'chat:stays' });
  const publishing = publisher(writer!, topic, 'h');
  await eventually('it publishes', () => publishing.acked.size > 20);
  const backs = () => server.logs.filter(({ msg }) => msg === 'the shard is back').length;
  const before = backs();
  server.failpoint(1, 'shard.exit');
  const ended = await reader!.waitFor(({ data }) => data.op === 'Subscription');
  assert.deepEqual([ended.data.topic, ended.data['active']], [topic, false]);
  assert.match(String(ended.data['reason']), /home of the topic was lost/);
  await eventually('the shard is back', () => backs() > before);
  const first = reader!.ofType('Broadcast').filter(({ data }) => data.topic === topic);
  await eventually(
    'subscribed again',
    async () => (await reader!.request('Subscribe', { topic })).type === 'Status',
  );
  await eventually('more arrives', () => reader!.ofType('Broadcast').length > first.length + 10);
  await publishing.stop();
  const stored = await everything(writer!, topic);
  assertStoredOnce(stored, publishing.acked);
  const offsets = reader!.ofType('Broadcast').map(({ data }) => data.offset as number);
  assert.deepEqual(
    offsets.slice(0, first.length),
    offsets.slice(0, first.length).map((_, index) => offsets[0]! + index),
    'no hole before the end',
  );
  await Promise.all([reader!.close(), writer!.close()]);
});

test('pages of large messages are cut, and their clients stay: everything is read, both ways', async () => {
  const client = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
  const topic = 'log:large';
  for (let number = 0; number < 30; number++) {
    await client.request('Broadcast', { topic, payload: `${number}`.padEnd(50_000, 'x') });
  }
  assert.equal((await everything(client, topic)).length, 30);
  const youngest = (await client.request('History', { topic, limit: 200 })).data as unknown as {
    messages: Stored[];
    hasMore: boolean;
  };
  assert.deepEqual([youngest.messages.at(-1)?.offset, youngest.hasMore], [30, true]);
  await client.close();
});

test('a message has one time: delivered and in the history it is the same', async () => {
  const client = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
  await client.request('Subscribe', { topic: 'log:time' });
  await client.request('Broadcast', { topic: 'log:time', payload: 1 });
  const delivered = await client.waitFor(({ type }) => type === 'Broadcast');
  const [stored] = (await everything(client, 'log:time')) as (Stored & { timestamp: number })[];
  assert.equal(stored!.timestamp, delivered.timestamp);
  await client.close();
});

/** Publishes with keys until `stop()`, sending again what is not acked; answers acked payloads by message id. */
function publisher(client: TestClient, topic: string, name: string) {
  const acked = new Map<string, string>();
  let isStopped = false;
  const done = (async () => {
    for (let next = 0; !isStopped; next++) {
      const message = { topic, payload: `${name}-${next}`, key: `${name}-${next}` };
      for (;;) {
        const { type, data } = await client.request('Broadcast', message);
        if (type === 'Status') {
          acked.set(data.messageId as string, message.payload);
          break;
        }
        assert.equal(data.retryable, true, JSON.stringify(data));
      }
    }
  })();
  return {
    acked,
    async stop() {
      isStopped = true;
      await done;
    },
  };
}

function assertStoredOnce(stored: Stored[], acked: Map<string, string>): void {
  assert.deepEqual(
    stored.map(({ offset }) => offset),
    stored.map((_, index) => index + 1),
    'offsets without holes',
  );
  const payloads = stored.map(({ payload }) => payload as string);
  assert.equal(new Set(payloads).size, payloads.length, 'nothing is stored twice');
  const byId = new Map(stored.map(({ id, payload }) => [id, payload]));
  for (const [id, payload] of acked) assert.equal(byId.get(id), payload, `acked ${payload} is stored`);
}

test('[DUR3] the store thread may die at any time: what was acked is stored, once, and volatile topics go on', async () => {
  const clients = await clientsOnShards({ url: server.url, token: tokenOf('ann') }, [0, 1]);
  const publishers = clients.map((client, index) => publisher(client, 'log:store-dies', `p${index}`));
  const backs = () => server.logs.filter(({ msg }) => msg === 'the store is back').length;
  for (let round = 1; round <= 3; round++) {
    const before = publishers.map(({ acked }) => acked.size);
    await eventually('both publish', () =>
      publishers.every(({ acked }, index) => acked.size > before[index]! + 20),
    );
    server.failpoint(storePeer, 'store.exit');
    const [one] = clients as [TestClient];
    assert.equal((await one.request('Broadcast', { topic: 'chat:goes-on', payload: round })).type, 'Status');
    await eventually('the store is back', () => backs() === round);
  }
  await Promise.all(publishers.map((each) => each.stop()));
  const stored = await everything(clients[0]!, 'log:store-dies');
  assertStoredOnce(stored, new Map(publishers.flatMap(({ acked }) => [...acked])));
  await Promise.all(clients.map((client) => client.close()));
});

test('[DUR4] the process may be killed at any time: what was acked is there when it starts again, once', async () => {
  const settings = {
    CARILLON_CONFIG: configFile,
    DATA_DIR: mkdtempSync(join(tmpdir(), 'carillon-durable-')),
  };
  const acked = new Map<string, string>();
  for (let round = 0; round < 3; round++) {
    const child = await startChildServer(settings);
    const client = await TestClient.connect({ url: child.url, token: tokenOf('ann') });
    let sent = 0;
    client.send(Array.from({ length: 60 }, () => broadcast(`r${round}-${sent++}`)));
    await client.until(() => client.ofType('Status').length > 21); // `Connect` is one of them
    client.send(Array.from({ length: 60 }, () => broadcast(`r${round}-${sent++}`)));
    const exit = once(child.process, 'exit');
    child.process.kill('SIGKILL');
    await exit;
    await client.closeCode();
    for (const { id, data } of client.ofType('Status')) {
      if (data.op === 'Broadcast') acked.set(data.messageId as string, id as string);
    }
  }
  const child = await startChildServer(settings);
  const client = await TestClient.connect({ url: child.url, token: tokenOf('ann') });
  assertStoredOnce(await everything(client, 'log:killed'), acked);
  assert.ok(acked.size > 60);
  const [first] = acked.keys();
  const again = await client.request('Broadcast', { topic: 'log:killed', payload: 'r0-0', key: 'r0-0' });
  assert.deepEqual([again.data.duplicate, again.data.messageId], [true, first]);
  await client.close();
  assert.equal(await child.terminate(), 0);
});

function broadcast(name: string): object {
  return { type: 'Broadcast', id: name, data: { topic: 'log:killed', payload: name, key: name } };
}
