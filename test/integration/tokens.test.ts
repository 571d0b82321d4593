/** Tokens at the door and on a living connection: who comes in, who is turned away, and what nobody ever reads in a log. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { createSigner } from 'fast-jwt';
import { WebSocket } from 'ws';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { type ClientOptions, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, testSecret, tokenOf } from '../kit/test-server.ts';

let server: TestServer;
/** Never says a word; awaited by the last test. */
let silent: { client: WebSocket; closed: Promise<unknown[]> };
/** Every token that was shown to the server, for the search in its logs. */
const shown: string[] = [];

before(async () => {
  server = await startTestServer({ LOG_LEVEL: 'trace' });
  const client = new WebSocket(`ws://${server.url}/ws`, 'carillon.v1.json');
  silent = { client, closed: once(client, 'close') };
});
after(() => server.stop());

function show(token: string): string {
  shown.push(token);
  return token;
}

const unsigned = () => {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode({ alg: 'none', typ: 'JWT' })}.${encode({ sub: 'ann', exp: 4_102_444_800 })}.`;
};

const badTokens: Record<string, () => string> = {
  'no JWT at all': () => 'not.a.token',
  expired: () => tokenOf('ann', {}, -60_000),
  unsigned,
  'signed with another key': () => tokenOf('ann', {}, 60_000, testSecret.replace('secret', 'Secret')),
  'without exp': () =>
    createSigner({ key: testSecret, algorithm: 'HS256', noTimestamp: true })({ sub: 'ann' }),
  'of a user id that is none': () => tokenOf('a b'),
};

const waysIn: Record<string, (token: string) => Partial<ClientOptions>> = {
  header: (token) => ({ token }),
  subprotocol: (token) => ({ protocols: [`bearer.${token}`, 'carillon.v1.json'] }),
  query: (token) => ({ path: `/ws?token=${token}` }),
};

for (const [name, make] of Object.entries(badTokens)) {
  test(`[AUT1] a token that is ${name} closes with 4500, whichever way it came`, async () => {
    const token = show(make());
    for (const [way, optionsOf] of Object.entries(waysIn)) {
      const client = new TestClient({ url: server.url, ...optionsOf(token) });
      assert.equal(await client.closeCode(), 4500, way);
      assert.match(client.closed!.reason, /^unauthorized: /);
      assert.equal(client.closed!.reason.includes(token), false);
      assert.deepEqual(client.received, [], 'not a word before');
    }
    const client = new TestClient({ url: server.url });
    await once(client.socket, 'open');
    client.send({ type: 'Auth', id: 'a', data: { token } });
    assert.equal(await client.closeCode(), 4500);
    assert.deepEqual(
      client.received.map(({ type, id, data }) => [type, id, data.code]),
      [['Error', 'a', 'unauthorized']],
    );
  });
}

test('a good token opens the session, whichever way it came', async () => {
  for (const [way, optionsOf] of Object.entries(waysIn)) {
    const client = await TestClient.connect({ url: server.url, ...optionsOf(show(tokenOf('ann'))) });
    assert.equal(client.received[0]!.data.userId, 'ann', way);
    assert.equal(client.socket.protocol, 'carillon.v1.json', way);
    await client.close();
  }
});

test('a token in the first frame opens the session; before it, Ping is answered and nothing else is done', async () => {
  for (const encoding of ['json', 'msgpack'] as const) {
    const client = new TestClient({ url: server.url, encoding });
    await once(client.socket, 'open');
    assert.equal((await client.request('Ping', { n: 1 })).type, 'Pong');
    for (const type of ['Subscribe', 'Unsubscribe', 'Broadcast', 'DirectMessage']) {
      const data = { topic: 'a', to: 'ben', payload: 1 };
      assert.equal((await client.request(type, data)).data.code, 'unauthorized', type);
    }
    const { data } = await client.request('Auth', { token: show(tokenOf('ann')) });
    assert.equal(data.op, 'Auth');
    assert.ok(data.expiresAt > Date.now());
    assert.equal((await client.waitFor((envelope) => envelope.data.op === 'Connect')).data.userId, 'ann');
    await client.close();
  }
});

test('the header wins over the subprotocol, and the subprotocol over the query', async () => {
  const [ann, ben, cat] = ['ann', 'ben', 'cat'].map((user) => show(tokenOf(user))) as [
    string,
    string,
    string,
  ];
  const entry = { protocols: ['carillon.v1.json', `bearer.${ben}`], path: `/ws?token=${cat}` };
  const first = await TestClient.connect({ url: server.url, token: ann, ...entry });
  const second = await TestClient.connect({ url: server.url, ...entry });
  assert.deepEqual(
    [first, second].map(({ received }) => received[0]!.data.userId),
    ['ann', 'ben'],
  );
  await Promise.all([first.close(), second.close()]);
});

test('AUTH_QUERY_TOKEN=false: a token in the query is not read', async (t) => {
  const strict = await startTestServer({ AUTH_QUERY_TOKEN: 'false' });
  t.after(() => strict.stop());
  const client = new TestClient({ url: strict.url, path: `/ws?token=${tokenOf('ann')}` });
  await once(client.socket, 'open');
  assert.equal((await client.request('Subscribe', { topic: 'a' })).data.code, 'unauthorized');
  assert.equal((await client.request('Auth', { token: tokenOf('ben') })).type, 'Status');
  await client.waitFor((envelope) => envelope.data.userId === 'ben');
  await client.close();
});

test('a fresh token keeps the session and its subscriptions, with the new permissions', async () => {
  const client = await TestClient.connect({ url: server.url, token: show(tokenOf('ann')) });
  await client.request('Subscribe', { topic: 'refresh:a' });
  const narrow = show(
    tokenOf('ann', { permissions: ['subscribe:refresh:a', 'publish:refresh:*'] }, 7_200_000),
  );
  const { data } = await client.request('Auth', { token: narrow });
  assert.ok(data.expiresAt > Date.now() + 3_600_000);
  await client.request('Broadcast', { topic: 'refresh:a', payload: 1 });
  await client.waitFor((envelope) => envelope.type === 'Broadcast');
  assert.equal((await client.request('Subscribe', { topic: 'refresh:b' })).data.code, 'permission_denied');
  assert.equal(client.received.filter(({ data: { op } }) => op === 'Connect').length, 1);
  await client.close();
});

test('a fresh token of another user or tenant is denied, a bad one refused, and the session goes on as it was', async () => {
  const client = await TestClient.connect({ url: server.url, token: show(tokenOf('ann')) });
  for (const other of [tokenOf('ben'), tokenOf('ann', { tenant: 'acme' }), tokenOf('ANN')]) {
    assert.equal((await client.request('Auth', { token: show(other) })).data.code, 'permission_denied');
  }
  for (const make of Object.values(badTokens)) {
    assert.equal((await client.request('Auth', { token: show(make()) })).data.code, 'unauthorized');
  }
  const { data } = await client.request('DirectMessage', { to: 'ann', payload: 1 });
  assert.equal(data.op, 'DirectMessage');
  await client.close();
});

test('a token that ends while connected closes with 4006, and System token_expiring came before', async () => {
  const token = show(tokenOf('ann', {}, 7_000)); // time enough to renew it on a busy machine
  const client = await TestClient.connect({ url: server.url, token });
  const renewed = await TestClient.connect({ url: server.url, token });
  const notice = await client.waitFor((envelope) => envelope.data.event === 'token_expiring');
  assert.equal(notice.type, 'System');
  await renewed.waitFor((envelope) => envelope.data.event === 'token_expiring');
  await renewed.request('Auth', { token: show(tokenOf('ann')) });
  assert.equal(await client.closeCode(), 4006);
  assert.ok(Date.now() >= notice.data.expiresAt, 'not before its time');
  assert.equal((await renewed.request('Ping')).type, 'Pong', 'the renewed one lives on');
  await renewed.close();
});

test('beyond MAX_CONNECTIONS_PER_USER: Error limit_exceeded, then 4501, on every shard; others are not affected', async (t) => {
  const small = await startTestServer({ MAX_CONNECTIONS_PER_USER: '2' });
  t.after(() => small.stop());
  const options = { url: small.url, token: tokenOf('ann') };
  const devices = [await TestClient.connect(options), await TestClient.connect(options)];
  for (let count = 0; count < 8; count++) {
    const client = new TestClient(options);
    assert.equal(await client.closeCode(), 4501);
    assert.deepEqual(
      client.received.map(({ type, data }) => [type, data.code]),
      [['Error', 'limit_exceeded']],
    );
  }
  await (await TestClient.connect({ url: small.url, token: tokenOf('ben') })).close();
  await devices[0]!.close();
  await eventually('there is room again', async () => {
    const client = new TestClient(options);
    const isConnected = client.waitFor(({ data }) => data.op === 'Connect');
    return isConnected.then(
      () => client.close().then(() => true),
      () => false,
    );
  });
});

test('a connection refused for the limit of its user leaves nothing behind', async (t) => {
  const small = await startTestServer({ SHARDS: '1', MAX_CONNECTIONS_PER_USER: '1' });
  t.after(() => small.stop());
  const device = await TestClient.connect({ url: small.url, token: tokenOf('ann') });
  const refused = new TestClient({ url: small.url, token: tokenOf('ann') });
  await refused.closeCode();
  await eventually('the topic of everyone is counted', () =>
    metricOf(small.url, 'actors_active{actor="topic"}'),
  );
  await device.close(1000);
  await eventually('no topic is left', async () => {
    const page = await (await fetch(`http://${small.url}/metrics`)).text();
    const isUserGone = /^actors_active\{actor="user"\} 0$/m.test(page);
    if (isUserGone) assert.ok(/^actors_active\{actor="topic"\} 0$/m.test(page), 'a topic is left');
    return isUserGone;
  });
});

test('a server whose secret was given to it makes no tokens for strangers', async () => {
  const body = JSON.stringify({ name: 'boss' });
  const headers = { 'content-type': 'application/json' };
  const configured = await startTestServer({ JWT_SECRET: testSecret });
  try {
    const { status } = await fetch(`http://${configured.url}/demo/token`, { method: 'POST', headers, body });
    assert.equal(status, 404);
  } finally {
    await configured.stop();
  }
});

test('[AUT1] a connection that never shows a token is closed with 4500', async () => {
  assert.equal((await silent.closed)[0], 4500);
});

test('[AUT2] no token that was shown is in any log, at any level', async () => {
  const bearer = show(tokenOf('ann'));
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  const body = JSON.stringify({ topic: 'a', payload: 1 });
  await fetch(`http://${server.url}/api/v1/publish`, { method: 'POST', headers, body });
  await fetch(`http://${server.url}/nowhere?token=${bearer}`, { headers });
  await fetch(`http://${server.url}/ws?token=${bearer}`, { headers });
  await eventually('the requests are logged', () =>
    server.logs.some(({ msg, status }) => msg === 'request' && status === 426),
  );
  const text = JSON.stringify(server.logs);
  assert.ok(server.logs.length > 20 && shown.length > 20, 'there is something to search');
  for (const token of shown) {
    const parts = token
      .split('.')
      .slice(1)
      .filter((part) => part.length > 10);
    for (const part of [token, ...parts]) assert.equal(text.includes(part), false, part);
  }
});
