/** What happens when somebody does not keep up: bounded, named, and nobody else's problem. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChildServer } from '../kit/child-server.ts';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, tokenOf } from '../kit/test-server.ts';

test('[SES3] a client that does not read closes with 4002, and the others get everything', async () => {
  const server = await startTestServer({ OUTBOX_BYTES: '256kb' });
  try {
    const connect = (user: string) => TestClient.connect({ url: server.url, token: tokenOf(user) });
    const [slow, good, sender] = [await connect('slow'), await connect('good'), await connect('sender')];
    for (const client of [slow, good]) await client.request('Subscribe', { topic: 'live:flood:1' });
    slow.socket.pause();
    const payload = 'x'.repeat(30_000);
    let sent = 0;
    // The kernel's own buffers hold some megabytes before the outbox sees anything.
    while ((await metricOf(server.url, 'slow_consumers_total')) === 0) {
      assert.ok(sent < 3000, 'the slow client was never noticed');
      for (let index = 0; index < 20; index++)
        sender.send({ type: 'Broadcast', data: { topic: 'live:flood:1', payload: `${sent++}${payload}` } });
      await good.until(() => good.ofType('Broadcast').length === sent);
    }
    slow.socket.resume();
    // The close frame waits behind what the kernel holds; one who does not read in time is cut off.
    assert.ok([4002, 1006].includes(await slow.closeCode()));
    // The server counts a close when its own side of the socket is done, which may be after the client's.
    const closes = (code: number) => metricOf(server.url, `websocket_closes_total{code="${code}"}`);
    await eventually('the close is counted', async () => (await closes(4002)) + (await closes(1006)) === 1);
    await good.request('Ping');
    await eventually(
      'nothing waits any more',
      async () => (await metricOf(server.url, 'outbox_bytes')) === 0,
    );
  } finally {
    await server.stop();
  }
});

test('[SES5] a flood of commands pauses the reading, and each one still gets its reply', async () => {
  const server = await startTestServer();
  try {
    const client = await TestClient.connect({ url: server.url, token: tokenOf('hasty') });
    const count = 20_000;
    // In one piece: a server that keeps up with single ones has no reason to pause.
    const { _socket: wire } = client.socket as unknown as { _socket: Socket };
    wire.cork();
    for (let index = 0; index < count; index++) client.send({ type: 'Ping', id: `p${index}` });
    wire.uncork();
    await client.until(() => client.ofType('Pong').length === count);
    assert.deepEqual(
      client.ofType('Pong').map((envelope) => envelope.id),
      Array.from({ length: count }, (_, index) => `p${index}`),
    );
    assert.ok((await metricOf(server.url, 'actor_mailbox_full_total{outcome="paused"}')) > 0);
    assert.equal(await metricOf(server.url, 'actor_mailbox_full_total{outcome="refused"}'), 0);
    assert.equal(await metricOf(server.url, 'actor_mailbox_size{actor="session"}'), 0);
  } finally {
    await server.stop();
  }
});

test('too many envelopes are refused with the time to wait, and one who goes on is closed with 4005', async () => {
  const server = await startTestServer({
    RATE_LIMIT_ENABLED: 'true',
    RATE_LIMIT_CONNECTION: '10/1h',
    RATE_LIMIT_BURST: '5',
  });
  try {
    const client = await TestClient.connect({ url: server.url, token: tokenOf('eager') });
    for (let index = 0; index < 15; index++) assert.equal((await client.request('Ping')).type, 'Pong');
    const refused = await client.request('Ping');
    assert.deepEqual([refused.data.code, refused.data.retryable], ['rate_limited', true]);
    assert.ok(refused.data.retryAfterMs > 0 && refused.data.retryAfterMs <= 360_000);
    for (let index = 0; index < 200; index++) client.send({ type: 'Ping' });
    assert.equal(await client.closeCode(), 4005);
  } finally {
    await server.stop();
  }
});

test('a silent connection closes with 4003, one that answers pings lives', async () => {
  const server = await startTestServer({ HEARTBEAT_INTERVAL: '200ms', CLIENT_TIMEOUT: '5s' });
  try {
    const [living, dead] = [
      await TestClient.connect({ url: server.url, token: tokenOf('living') }),
      await TestClient.connect({ url: server.url, token: tokenOf('dead') }),
    ];
    // biome-ignore lint/suspicious/noExplicitAny: a peer that is there and says nothing
    (dead.socket as any)._receiver.removeAllListeners('ping');
    assert.equal(await dead.closeCode(), 4003);
    assert.equal((await living.request('Ping')).type, 'Pong');
  } finally {
    await server.stop();
  }
});

test('a process that stood still for longer than CLIENT_TIMEOUT and STALL_TIMEOUT blames neither clients nor shards', async () => {
  const server = await startChildServer({ HEARTBEAT_INTERVAL: '500ms', CLIENT_TIMEOUT: '5s' });
  try {
    const clients = await Promise.all(
      [1, 2, 3, 4].map((index) => TestClient.connect({ url: server.url, token: tokenOf(`still-${index}`) })),
    );
    await Promise.all(clients.map(({ socket }) => once(socket, 'ping')));
    server.process.kill('SIGSTOP');
    await sleep(8000);
    const answers = clients.map((client) => client.request('Ping'));
    server.process.kill('SIGCONT');
    assert.deepEqual(
      (await Promise.all(answers)).map(({ type }) => type),
      clients.map(() => 'Pong'),
    );
    await Promise.all(clients.map(({ socket }) => once(socket, 'ping')));
    assert.equal(await metricOf(server.url, 'shard_restarts_total'), 0);
    assert.doesNotMatch(server.output(), /stood still for too long|died/);
  } finally {
    await server.terminate();
  }
});

test('a frame over the limit closes with 1009, the wrong kind with 1003, ten in a row that are no envelopes with 4502', async () => {
  const server = await startTestServer();
  try {
    const connect = (encoding: 'json' | 'msgpack' = 'json') =>
      TestClient.connect({ url: server.url, token: tokenOf('odd'), encoding });
    const large = await connect();
    large.sendRaw(JSON.stringify({ type: 'Ping', data: { text: 'x'.repeat(65_536) } }));
    assert.equal(await large.closeCode(), 1009);
    const wrongKind = await connect();
    wrongKind.sendRaw(Buffer.from([0x80]));
    assert.equal(await wrongKind.closeCode(), 1003);
    const noisy = await connect('msgpack');
    for (let index = 0; index < 10; index++) noisy.sendRaw(Buffer.from([0xc1]));
    assert.equal(await noisy.closeCode(), 4502);
    assert.equal(noisy.ofType('Error').length, 9);
  } finally {
    await server.stop();
  }
});
