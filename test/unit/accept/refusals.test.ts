/** Upgrades that a whole server turns away before the handshake: origins, paths, caps and rates. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../../kit/eventually.ts';
import { TestClient } from '../../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../../kit/test-server.ts';
import { type Answer, ask, upgrade } from './upgrade-request.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer({ ALLOWED_ORIGINS: 'https://app.example.com,https://b.example.com:8443' });
});
after(() => server.stop());

/** The refusal is JSON with a code; `retryAfter` says whether to come back is worth it. */
function isRefusal(answer: Answer, status: number, code: string, isWorthRetrying: boolean): void {
  assert.equal(answer.status, status, answer.body);
  const { error } = JSON.parse(answer.body) as { error: { code: string; retryable: boolean } };
  assert.deepEqual([error.code, error.retryable], [code, isWorthRetrying]);
  assert.equal(Number(answer.headers['retry-after']) > 0, isWorthRetrying, 'Retry-After');
}

test('an origin that is listed, one of this server itself, or none at all may connect', async () => {
  const own = `http://${server.url}`;
  for (const origin of ['https://app.example.com', 'https://b.example.com:8443', own]) {
    assert.equal((await ask(server.url, '/ws', { ...upgrade, origin })).status, 101, origin);
  }
  assert.equal((await ask(server.url, '/ws')).status, 101);
});

test('every other origin is refused with 403, however much it looks like a good one', async () => {
  const [, port] = server.url.split(':');
  const others = [
    'https://other.example.com',
    'https://app.example.com.evil',
    'https://app.example.com.evil.org',
    'https://evil-app.example.com',
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://b.example.com',
    'HTTPS://APP.EXAMPLE.COM',
    'https://app.example.com/',
    'null',
    '',
    '*',
    `http://127.0.0.1:${port}.evil.org`,
    `http://127.0.0.1:${port}@evil.org`,
    `http://127.0.0.1`,
    `http://localhost:${port}`,
    'https://app.example.com, https://evil.org',
  ];
  for (const origin of others) {
    isRefusal(await ask(server.url, '/ws', { ...upgrade, origin }), 403, 'origin', false);
  }
  const token = { ...upgrade, origin: 'https://evil.org', authorization: `Bearer ${tokenOf('ann')}` };
  isRefusal(await ask(server.url, '/ws', token), 403, 'origin', false);
});

test('the answer to a handshake selects a protocol of ours or none, and never a token', async () => {
  const bearer = `bearer.${tokenOf('ann')}`;
  const offers: [offered: string, selected: string | undefined][] = [
    [`${bearer}, carillon.v1.msgpack`, 'carillon.v1.msgpack'],
    [`carillon.v1.json, ${bearer}`, 'carillon.v1.json'],
    [bearer, undefined],
    ['graphql-ws', undefined],
  ];
  for (const [offered, selected] of offers) {
    const { status, headers } = await ask(server.url, '/ws', {
      ...upgrade,
      'sec-websocket-protocol': offered,
    });
    assert.deepEqual([status, headers['sec-websocket-protocol']], [101, selected]);
  }
});

test('an upgrade anywhere else is 404, and /ws without an upgrade is 426', async () => {
  for (const path of ['/', '/wss', '/ws/', '/WS', '/api/v1/publish', '/ws%2f']) {
    isRefusal(await ask(server.url, path), 404, 'path', false);
  }
  const plain = await ask(server.url, '/ws', {});
  assert.deepEqual([plain.status, plain.headers['upgrade']], [426, 'websocket']);
});

test('[ACC2] beyond MAX_CONNECTIONS an upgrade is 503 with Retry-After, health still answers, and room comes back', async (t) => {
  const full = await startTestServer({ MAX_CONNECTIONS: '1' });
  t.after(() => full.stop());
  const client = await TestClient.connect({ url: full.url, token: tokenOf('ann') });
  isRefusal(await ask(full.url, '/ws'), 503, 'full', true);
  assert.equal((await ask(full.url, '/health', {})).status, 200);
  assert.match(
    (await ask(full.url, '/metrics', {})).body,
    /^websocket_connections_refused_total\{reason="full"\} 1$/m,
  );
  await client.close();
  await eventually('there is room again', async () => (await ask(full.url, '/ws')).status === 101);
});

test('[ACC2] beyond MAX_CONNECTIONS_PER_IP an upgrade is 429 with Retry-After', async (t) => {
  const strict = await startTestServer({ MAX_CONNECTIONS_PER_IP: '1' });
  t.after(() => strict.stop());
  const client = await TestClient.connect({ url: strict.url, token: tokenOf('ann') });
  isRefusal(await ask(strict.url, '/ws'), 429, 'too_many_from_address', true);
  await client.close();
});

test('[ACC2] beyond HANDSHAKE_RATE_IP an upgrade is 429 with Retry-After', async (t) => {
  const strict = await startTestServer({ HANDSHAKE_RATE_IP: '1/1m' });
  t.after(() => strict.stop());
  assert.equal((await ask(strict.url, '/ws')).status, 101);
  isRefusal(await ask(strict.url, '/ws'), 429, 'too_fast', true);
});

test('[ACC2] behind a trusted proxy the rate is that of the address it vouches for, whatever the client adds', async (t) => {
  const proxied = await startTestServer({ SHARDS: '1', TRUST_PROXY: '127.0.0.1', HANDSHAKE_RATE_IP: '1/1m' });
  t.after(() => proxied.stop());
  const from = (forwarded: string) => ask(proxied.url, '/ws', { ...upgrade, 'x-forwarded-for': forwarded });
  assert.equal((await from('192.0.2.1')).status, 101);
  isRefusal(await from('192.0.2.1'), 429, 'too_fast', true);
  isRefusal(await from('198.51.100.7, 192.0.2.1'), 429, 'too_fast', true);
  isRefusal(await from('198.51.100.8, 192.0.2.1, 127.0.0.1'), 429, 'too_fast', true);
  assert.equal((await from('192.0.2.1, 192.0.2.2')).status, 101);
});

test('an X-Forwarded-For of somebody who is not trusted changes nothing', async (t) => {
  const direct = await startTestServer({ HANDSHAKE_RATE_IP: '1/1m' });
  t.after(() => direct.stop());
  assert.equal((await ask(direct.url, '/ws', { ...upgrade, 'x-forwarded-for': '192.0.2.1' })).status, 101);
  const second = await ask(direct.url, '/ws', { ...upgrade, 'x-forwarded-for': '192.0.2.2' });
  isRefusal(second, 429, 'too_fast', true);
});

test('[ACC2] behind a trusted proxy MAX_CONNECTIONS_PER_IP counts the address it vouches for', async (t) => {
  const proxied = await startTestServer({
    SHARDS: '1',
    TRUST_PROXY: '127.0.0.1',
    MAX_CONNECTIONS_PER_IP: '1',
  });
  t.after(() => proxied.stop());
  const headers = { 'x-forwarded-for': '192.0.2.1' };
  const client = await TestClient.connect({ url: proxied.url, token: tokenOf('ann'), headers });
  isRefusal(await ask(proxied.url, '/ws', { ...upgrade, ...headers }), 429, 'too_many_from_address', true);
  await client.close();
});
