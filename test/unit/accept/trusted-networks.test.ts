/** Proxies that are trusted by their network: whose X-Forwarded-For a whole server believes. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { TestClient } from '../../kit/test-client.ts';
import { startTestServer, tokenOf } from '../../kit/test-server.ts';
import { ask, upgrade } from './upgrade-request.ts';

/** One handshake of each address a minute; we are 127.0.0.1. Answers the status of an upgrade that says who it is from. */
async function behind(t: TestContext, trustProxy: string) {
  const server = await startTestServer({
    ...{ SHARDS: '1', TRUST_PROXY: trustProxy, HANDSHAKE_RATE_IP: '1/1m' },
  });
  t.after(() => server.stop());
  return async (forwarded: string) =>
    (await ask(server.url, '/ws', { ...upgrade, 'x-forwarded-for': forwarded })).status;
}

for (const trustProxy of ['127.0.0.0/8', '10.0.0.0/8, 127.0.0.0/30', '0.0.0.0/0', '::ffff:127.0.0.0/104']) {
  test(`[ACC2] a proxy in ${trustProxy} is believed: the rate is that of the address that it vouches for`, async (t) => {
    const from = await behind(t, trustProxy);
    assert.equal(await from('2001:db8::1'), 101);
    assert.equal(await from('2001:db8::1'), 429);
    assert.equal(await from('2001:db8::2'), 101);
  });
}

for (const trustProxy of ['127.0.0.2', '128.0.0.0/8', '127.0.0.2/32,10.0.0.0/8', '::1/128', '']) {
  test(`[ACC2] a peer that is not in ${trustProxy || 'the empty list'} is not believed: the rate is its own`, async (t) => {
    const from = await behind(t, trustProxy);
    assert.equal(await from('2001:db8::1'), 101);
    assert.equal(await from('2001:db8::2'), 429);
  });
}

test('[ACC2] proxies of a network are passed over from the right, and what a client adds is not believed', async (t) => {
  const from = await behind(t, '127.0.0.0/8,10.0.0.0/8');
  assert.equal(await from('192.0.2.1, 10.1.2.3, ::ffff:10.9.9.9'), 101);
  assert.equal(await from('192.0.2.1'), 429);
  assert.equal(await from('198.51.100.1, 192.0.2.1, 10.4.4.4'), 429);
  assert.equal(await from('192.0.2.1, 192.0.2.2, 10.4.4.4'), 101);
});

test('[DEC1] what is no address in X-Forwarded-For counts as a client of that name, and nothing breaks', async (t) => {
  const from = await behind(t, '0.0.0.0/0,::/0');
  for (const odd of [
    'unknown',
    '10.0.0.0/8',
    'fe80::1%eth0, x',
    '10.0.0.1:4711',
    '[::1]',
    ',,,',
    '1'.repeat(5000),
  ]) {
    await from(odd);
  }
  assert.equal(await from('somebody-else'), 101);
});

test('[ACC2] MAX_CONNECTIONS_PER_IP behind a network of proxies counts each client, not the proxy', async (t) => {
  const server = await startTestServer({
    SHARDS: '1',
    TRUST_PROXY: '127.0.0.0/8',
    MAX_CONNECTIONS_PER_IP: '1',
  });
  t.after(() => server.stop());
  const connect = (address: string) =>
    TestClient.connect({ url: server.url, token: tokenOf('ann'), headers: { 'x-forwarded-for': address } });
  const clients = [await connect('192.0.2.1'), await connect('192.0.2.2'), await connect('192.0.2.3')];
  const again = await ask(server.url, '/ws', { ...upgrade, 'x-forwarded-for': '192.0.2.1' });
  assert.equal(again.status, 429);
  await Promise.all(clients.map((client) => client.close()));
});
