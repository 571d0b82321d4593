/** Gauges and counters that must tell the truth: what is there, what waits, and who closed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { clientFrame, RawSocket } from '../fuzz/raw-socket.ts';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  // Sockets that stay open between scrapes would be metrics of the test itself.
  server = await startTestServer({ OUTBOX_BYTES: '64mb', MAX_CONNECTIONS_PER_USER: '1000' });
});
after(() => server.stop());

const connect = (user: string) => TestClient.connect({ url: server.url, token: tokenOf(user) });
const closes = (code: number) => metricOf(server.url, `websocket_closes_total{code="${code}"}`);

test('topics whose subscribers left while publications waited are gone from actors_active', async () => {
  const client = await connect('ann');
  await eventually('the topic of everyone is counted', () =>
    metricOf(server.url, 'actors_active{actor="topic"}'),
  );
  const before = await metricOf(server.url, 'actors_active{actor="topic"}');
  for (let round = 0; round < 200; round++) {
    const topic = `live:round:${round}`;
    client.send([
      { type: 'Subscribe', data: { topic } },
      // The one that waits longest; the next command of the frame leaves before any flush.
      { type: 'Broadcast', data: { topic, payload: round, priority: 'low' } },
      { type: 'Unsubscribe', id: `u${round}`, data: { topic } },
    ]);
  }
  await client.waitFor(({ id }) => id === 'u199');
  const marker = await connect('marker');
  await eventually('the gauges were measured after that', async () => {
    return (await metricOf(server.url, 'actors_active{actor="user"}')) === 2;
  });
  await eventually(
    'as many topics as before',
    async () => (await metricOf(server.url, 'actors_active{actor="topic"}')) === before,
  );
  // Low ones wait up to a tenth of a second, and the gauge of topics may be of a moment before them.
  await eventually(
    'no publication waits',
    async () => (await metricOf(server.url, 'actor_mailbox_size{actor="topic"}')) === 0,
  );
  assert.equal(await metricOf(server.url, 'subscriptions_active'), 0);
  await Promise.all([client.close(), marker.close()]);
});

test('outbox_bytes grows with what waits for a client that does not read, also in its socket, and is 0 when it is gone', async () => {
  const [slow, sender] = [await connect('slow'), await connect('sender')];
  await slow.request('Subscribe', { topic: 'live:flood:1' });
  slow.socket.pause();
  const payload = 'x'.repeat(60_000);
  const waiting = async () => await metricOf(server.url, 'outbox_bytes');
  let sent = 0;
  // The kernel takes some megabytes before anything waits.
  await eventually('two megabytes wait', async () => {
    for (let count = 0; count < 20 && sent < 600; count++) {
      assert.equal(
        (await sender.request('Broadcast', { topic: 'live:flood:1', payload: `${sent++}${payload}` })).type,
        'Status',
      );
    }
    return (await waiting()) > 2_000_000;
  });
  assert.ok((await waiting()) <= sent * 61_000);
  slow.socket.terminate();
  await eventually('nothing waits any more', async () => (await waiting()) === 0);
  await sender.close();
});

test('websocket_closes_total counts the code of the side that closed', async () => {
  const random = seededRandom(7);
  const before = {
    4502: await closes(4502),
    4500: await closes(4500),
    1000: await closes(1000),
    1006: await closes(1006),
  };
  // Both say goodbye without echoing the code: one with 1000, one not at all.
  for (const goodbye of [clientFrame(Buffer.from([1000 >> 8, 1000 & 0xff]), 8, random), undefined]) {
    for (const [opened, says] of [
      [tokenOf('ann'), Array.from({ length: 10 }, () => '[1,2]')],
      [undefined, ['{"type":"Auth","data":{"token":"bad"}}']],
    ] as [string | undefined, string[]][]) {
      const raw = new RawSocket(server.port, random);
      await raw.upgrade('json', opened);
      const isClosing = new Promise<void>((resolve) => {
        raw.socket.on('data', (bytes: Buffer) => {
          if (/protocol_error|unauthorized$/.test(bytes.toString('latin1'))) resolve();
        });
      });
      for (const text of says) raw.socket.write(clientFrame(Buffer.from(text), 1, random));
      await isClosing;
      if (goodbye !== undefined) raw.socket.write(goodbye);
      else raw.socket.destroy();
      await raw.leave();
    }
  }
  await eventually('both ends are counted', async () => (await closes(4500)) === before[4500] + 2);
  await eventually('both ends are counted', async () => (await closes(4502)) === before[4502] + 2);
  assert.deepEqual([await closes(1000), await closes(1006)], [before[1000], before[1006]]);
  const leaving = await connect('ann');
  leaving.socket.close(1000);
  await eventually("the peer's own", async () => (await closes(1000)) === before[1000] + 1);
});

test('[SES4] floods of things that are no envelopes leave nothing in the mailbox, and each connection ends with 4502', async () => {
  const before = await closes(4502);
  const clients = await Promise.all(Array.from({ length: 4 }, (_, index) => connect(`noisy-${index}`)));
  for (const [index, client] of clients.entries()) {
    const entry = index % 2 === 0 ? 0 : { id: 'x' };
    for (let count = 0; count < 10; count++) client.send(Array.from({ length: 64 }, () => entry));
  }
  for (const [index, client] of clients.entries()) {
    assert.equal(await client.closeCode(), 4502);
    assert.equal(client.ofType('Error').length, 9 * (index % 2 === 0 ? 1 : 64));
  }
  await eventually('all are counted', async () => (await closes(4502)) === before + 4);
  assert.equal(await metricOf(server.url, 'actor_mailbox_size{actor="session"}'), 0);
});

test('sessions that close inside a frame leave nothing in the mailbox gauge', async () => {
  const pings = Array.from({ length: 63 }, (_, index) => ({ type: 'Ping', id: `p${index}` }));
  for (let round = 0; round < 5; round++) {
    const client = new TestClient({ url: server.url });
    await once(client.socket, 'open');
    client.send([{ type: 'Auth', id: 'a', data: { token: 'bad' } }, ...pings]);
    assert.equal(await client.closeCode(), 4500);
    assert.equal(client.ofType('Pong').length, 0, 'nothing behind the bad token is handled');
  }
  await eventually(
    'all are gone',
    async () => (await metricOf(server.url, 'websocket_connections_active')) === 0,
  );
  assert.equal(await metricOf(server.url, 'actor_mailbox_size{actor="session"}'), 0);
});
