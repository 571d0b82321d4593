/** What waits, what does not, and what is given up first. Orders only: how long something takes is the benches' affair. */
import assert from 'node:assert/strict';
import { get } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { metricOf } from '../kit/metrics.ts';
import { clientsOnShards, type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { homedAt, succeed } from './people.ts';

const payloads = (client: TestClient) => client.ofType('Broadcast').map(({ data }) => data.payload);

async function onShard(server: TestServer, user: string, shard: number, path = '/ws'): Promise<TestClient> {
  const [client] = await clientsOnShards({ url: server.url, token: tokenOf(user), path }, [shard]);
  return client as TestClient;
}

/** Publishes until something of that class was dropped; the client who reads well has got everything. */
async function floodUntilDropped(server: TestServer, topic: string, good: TestClient, sender: TestClient) {
  const text = 'x'.repeat(30_000);
  let sent = 0;
  // The kernel's own buffers hold some megabytes before the outbox sees anything.
  while ((await metricOf(server.url, 'messages_dropped_total{class="low"}')) === 0) {
    assert.ok(sent < 3000, 'nothing was dropped');
    for (let index = 0; index < 10; index++)
      sender.send({ type: 'Broadcast', data: { topic, priority: 'low', payload: [sent++, text] } });
    await good.until(() => good.ofType('Broadcast').length === sent);
  }
  return sent;
}

for (const home of [0, 1]) {
  test(`of a slow reader low is dropped first and counted; normal, high and critical arrive (home on shard ${home})`, async () => {
    const server = await startTestServer();
    try {
      const topic = homedAt(home, (index) => `live:load:${index}`);
      const connect = (user: string) => TestClient.connect({ url: server.url, token: tokenOf(user) });
      const [slow, good, sender] = [await connect('slow'), await connect('good'), await connect('sender')];
      for (const client of [slow, good]) await succeed(client, 'Subscribe', { topic });
      slow.socket.pause();
      const sent = await floodUntilDropped(server, topic, good, sender);
      for (const priority of ['normal', 'high', 'critical', 'normal'])
        await succeed(sender, 'Broadcast', { topic, priority, payload: priority });
      await good.until(() => good.ofType('Broadcast').length === sent + 4);
      assert.equal(await metricOf(server.url, 'slow_consumers_total'), 0);
      slow.socket.resume();
      // Behind all that was to be dropped: from here on its number is final.
      await slow.until(() => payloads(slow).filter((payload) => typeof payload === 'string').length === 4);
      const dropped = await metricOf(server.url, 'messages_dropped_total{class="low"}');
      assert.equal(payloads(slow).length, sent + 4 - dropped);
      assert.deepEqual(payloads(slow).slice(-4), ['normal', 'high', 'critical', 'normal']);
      const numbers = payloads(slow)
        .slice(0, -4)
        .map(([number]) => number as number);
      assert.deepEqual(
        numbers,
        numbers.toSorted((one, other) => one - other),
      );
      await succeed(sender, 'Broadcast', { topic, priority: 'low', payload: 'again' });
      await slow.waitFor(({ data }) => data.payload === 'again');
    } finally {
      await server.stop();
    }
  });
}

test('low of a topic with positions is not dropped: without it there would be a hole', async () => {
  const server = await startTestServer({ OUTBOX_BYTES: '512kb' });
  try {
    const connect = (user: string) => TestClient.connect({ url: server.url, token: tokenOf(user) });
    const [slow, good, sender] = [await connect('slow'), await connect('good'), await connect('sender')];
    for (const client of [slow, good]) await succeed(client, 'Subscribe', { topic: 'cache:load' });
    slow.socket.pause();
    const payload = 'x'.repeat(30_000);
    let sent = 0;
    while ((await metricOf(server.url, 'slow_consumers_total')) === 0) {
      assert.ok(sent < 3000, 'the slow client was never noticed');
      for (let index = 0; index < 10; index++, sent++)
        sender.send({ type: 'Broadcast', data: { topic: 'cache:load', priority: 'low', payload } });
      await good.until(() => good.ofType('Broadcast').length === sent);
    }
    slow.socket.resume();
    assert.ok([4002, 1006].includes(await slow.closeCode()));
    assert.equal(await metricOf(server.url, 'messages_dropped_total{class="low"}'), 0);
    const offsets = slow.ofType('Broadcast').map(({ data }) => data.offset);
    assert.deepEqual(
      offsets,
      offsets.map((_, index) => index + 1),
      'no hole up to the end',
    );
  } finally {
    await server.stop();
  }
});

/** What comes together, by reads of the socket: how many envelopes there were when each began. */
function countReads(client: TestClient): number[] {
  const reads: number[] = [];
  const { _socket: socket } = client.socket as unknown as { _socket: Socket };
  socket.prependListener('data', () => reads.push(client.received.length));
  return reads;
}

test('with ?batch= frames wait for each other and come together; urgent ones and replies do not wait', async (t) => {
  // A ping would be a read of its own.
  const server = await startTestServer({
    FLUSH_INTERVAL: '0ms',
    HEARTBEAT_INTERVAL: '1h',
    CLIENT_TIMEOUT: '2h',
  });
  t.after(() => server.stop());
  const [here, there] = [0, 1].map((home) => homedAt(home, (index) => `live:b:${index}`)) as [string, string];
  const sender = await onShard(server, 'sender', 0);
  const control = await onShard(server, 'control', 0);
  const batched = await onShard(server, 'batched', 0, '/ws?batch=5s');
  for (const client of [control, batched])
    for (const topic of [here, there]) await succeed(client, 'Subscribe', { topic });
  const publish = async (topic: string, payload: string, priority = 'normal') => {
    await succeed(sender, 'Broadcast', { topic, payload, priority });
    await control.waitFor(({ data }: Envelope) => data.payload === payload);
  };

  await t.test('frames come together, in order', async () => {
    const reads = countReads(batched);
    const before = batched.received.length;
    for (const payload of ['a', 'b', 'c']) await publish(here, payload);
    await batched.until(() => payloads(batched).length === 3);
    assert.deepEqual(payloads(batched), ['a', 'b', 'c']);
    assert.deepEqual(reads, [before], 'in one read');
  });

  for (const priority of ['high', 'critical']) {
    await t.test(`${priority} takes along what waits, and another one's wait goes on`, async () => {
      const waiting = await onShard(server, `waiting-${priority}`, 0, '/ws?batch=5s');
      await succeed(waiting, 'Subscribe', { topic: here });
      await publish(here, `first-${priority}`); // waits for both
      const reads = countReads(batched);
      await publish(there, `now-${priority}`, priority);
      await batched.waitFor(({ data }) => data.payload === `now-${priority}`);
      assert.deepEqual(payloads(waiting), [], 'who gets nothing urgent waits still');
      assert.deepEqual(payloads(batched).slice(-2), [`first-${priority}`, `now-${priority}`]);
      assert.equal(reads.length, 1);
      await waiting.waitFor(({ data }) => data.payload === `first-${priority}`);
      await waiting.close();
    });
  }

  await t.test('a reply does not wait, and what came before it goes before it', async () => {
    const waiting = await onShard(server, 'waiting', 0, '/ws?batch=5s');
    await succeed(waiting, 'Subscribe', { topic: here });
    await publish(here, 'before the reply');
    assert.equal((await batched.request('Ping')).type, 'Pong');
    assert.equal(payloads(batched).at(-1), 'before the reply');
    assert.equal((await batched.request('Fly')).type, 'Error');
    assert.deepEqual(payloads(waiting), []);
    await waiting.waitFor(({ data }) => data.payload === 'before the reply');
    await waiting.close();
  });
});

async function upgradeStatus(server: TestServer, query: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      ...{ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', authorization: `Bearer ${tokenOf('asks')}` },
    };
    const request = get(`http://${server.url}/ws?${query}`, { headers });
    request.on('error', reject);
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, body: '' });
    });
    request.on('response', (response) => {
      let body = '';
      response.on('data', (bytes) => (body += String(bytes)));
      response.on('end', () => resolve({ status: response.statusCode as number, body }));
    });
  });
}

test('a batch that is no time, or too long a one, is HTTP 400 and named', async () => {
  const server = await startTestServer({ SHARDS: '1' });
  try {
    for (const batch of ['', 'soon', '300', '-1ms', '1.5s', '1m', '5001ms', '6s', '1e3ms', '100ms,1s']) {
      const { status, body } = await upgradeStatus(server, `batch=${encodeURIComponent(batch)}`);
      assert.equal(status, 400, `batch=${batch}`);
      const { error } = JSON.parse(body);
      assert.match(`${error.code} ${error.message}`, /batch/);
      assert.equal(error.retryable, false);
    }
    for (const batch of ['0ms', '300ms', '5000ms', '5s'])
      assert.equal((await upgradeStatus(server, `batch=${batch}`)).status, 101, `batch=${batch}`);
  } finally {
    await server.stop();
  }
});
