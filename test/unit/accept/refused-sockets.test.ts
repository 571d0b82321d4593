/** Sockets of upgrades that were refused: answered in full, ended by the server, and counted no more. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { eventually } from '../../kit/eventually.ts';
import { TestClient } from '../../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../../kit/test-server.ts';
import { HalfOpenClient } from './half-open.ts';
import { ask } from './upgrade-request.ts';

const origins = { ALLOWED_ORIGINS: 'https://app.example' };
let server: TestServer;
before(async () => {
  server = await startTestServer(origins);
});
after(() => server.stop());

/** A client that never closes; destroyed when the test is over. */
function open(t: TestContext, url: string): HalfOpenClient {
  const client = new HalfOpenClient(url);
  t.after(() => client.socket.destroy());
  return client;
}

const refusals: [status: number, why: string, path: string, headers: Record<string, string>][] = [
  [403, 'the origin', '/ws', { origin: 'https://evil.example' }],
  [404, 'the path', '/nowhere', {}],
  [404, 'a path of the HTTP API', '/health', {}],
];
for (const [status, why, path, headers] of refusals) {
  test(`[ACC4] an upgrade that is refused for ${why} is answered in full with ${status} and closed, although the client stays`, async (t) => {
    const client = open(t, server.url);
    client.ask(path, headers);
    await client.ended;
    assert.deepEqual([client.status, client.isWhole], [status, true], client.heard);
    assert.match(client.heard, /^connection: close$/im);
    await client.gone();
  });
}

test('[ACC4] [ACC2] 429 for too many from one address is answered in full and closed', async (t) => {
  const strict = await startTestServer({ MAX_CONNECTIONS_PER_IP: '1' });
  t.after(() => strict.stop());
  const good = await TestClient.connect({ url: strict.url, token: tokenOf('ann') });
  const refused = open(t, strict.url);
  refused.ask('/ws');
  await refused.ended;
  assert.deepEqual([refused.status, refused.isWhole], [429, true]);
  assert.match(refused.heard, /^retry-after: \d+$/im);
  await refused.gone();
  await good.close();
});

test('[ACC4] [ACC2] 429 for too many handshakes is answered in full and closed', async (t) => {
  const strict = await startTestServer({ HANDSHAKE_RATE_IP: '1/1m' });
  t.after(() => strict.stop());
  assert.equal((await ask(strict.url, '/ws')).status, 101);
  const refused = open(t, strict.url);
  refused.ask('/ws');
  await refused.ended;
  assert.deepEqual([refused.status, refused.isWhole], [429, true]);
  await refused.gone();
});

test('[ACC4] [ACC2] 503 for a full server is answered in full and closed', async (t) => {
  const full = await startTestServer({ MAX_CONNECTIONS: '1' });
  t.after(() => full.stop());
  const good = await TestClient.connect({ url: full.url, token: tokenOf('ann') });
  const refused = open(t, full.url);
  refused.ask('/ws');
  await refused.ended;
  assert.deepEqual([refused.status, refused.isWhole], [503, true]);
  assert.match(refused.heard, /^retry-after: \d+$/im);
  await refused.gone();
  await good.close();
});

test('[ACC4] refused clients that never close free their places: as many good ones get in as without them', async (t) => {
  const small = await startTestServer({ ...origins, MAX_CONNECTIONS: '3' });
  t.after(() => small.stop());
  const refused: HalfOpenClient[] = [];
  for (let count = 0; count < 12; count++) {
    const client = open(t, small.url);
    refused.push(client);
    client.ask(count % 2 === 0 ? '/nowhere' : '/ws', { origin: 'https://evil.example' });
    await client.ended;
  }
  const good: TestClient[] = [];
  await eventually('three good clients are in', async () => {
    const client = new TestClient({ url: small.url, token: tokenOf('ann') });
    const isIn = await client
      .waitFor(({ data }) => data.op === 'Connect')
      .then(
        () => true,
        () => false,
      );
    if (isIn) good.push(client);
    return good.length === 3;
  });
  for (const client of refused)
    assert.equal(client.socket.writableEnded, false, 'it has not closed its side');
  await Promise.all(good.map((client) => client.close()));
});

test('[ACC4] refused clients of one address free their places of that address', async (t) => {
  const small = await startTestServer({ ...origins, MAX_CONNECTIONS_PER_IP: '1' });
  t.after(() => small.stop());
  const refused = open(t, small.url);
  refused.ask('/ws', { origin: 'https://evil.example' });
  await refused.ended;
  await eventually('there is room', async () => (await ask(small.url, '/ws')).status === 101);
});
