/** What administrators see of sessions and end, and what servers ask of people, over HTTP. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { clientsOnShards, type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { homedAt, succeed } from './people.ts';

const apiKey = 'an-api-key-of-the-tests';
let server: TestServer;
before(async () => {
  server = await startTestServer({ API_KEYS: apiKey });
});
after(() => server.stop());

async function call(path: string, credential: string | undefined = apiKey, method = 'GET') {
  const response = await fetch(`http://${server.url}/api/v1/${path}`, {
    method,
    headers: credential === '' ? {} : { authorization: `Bearer ${credential}` },
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  return { status: response.status, json: (await response.json()) as any };
}

const connect = (user: string, claims: object = {}, encoding: 'json' | 'msgpack' = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user, claims), encoding });

const connectOf = (client: TestClient): Envelope['data'] => client.received[0]?.data;
const idOf = (client: TestClient): string => connectOf(client).sessionId;
const idsOf = (json: Envelope['data']): string[] =>
  json.sessions.map(({ sessionId }: Envelope['data']) => sessionId);
const adminOf = (tenant: string) => tokenOf('boss', { tenant, roles: ['admin'] });

async function resumeCode(old: TestClient, claims: object = {}): Promise<string | undefined> {
  const { sessionId, resumeToken, userId } = connectOf(old);
  const again = await connect(userId, claims);
  const reply = await again.request('Resume', { sessionId, resumeToken });
  await again.close();
  return reply.data.code;
}

/** Somebody's last words about the audit. */
const audited = (about: object) =>
  eventually('it is logged', () =>
    server.logs.find(
      (line) =>
        line['audit'] === true && Object.entries(about).every(([name, value]) => line[name] === value),
    ),
  );

test('sessions of all shards are listed, in pages, of one user, of the own tenant', async () => {
  const claims = { tenant: 'listed' };
  const options = { url: server.url, token: tokenOf('ann', claims) };
  const clients = [
    ...(await clientsOnShards(options, [0, 1])),
    ...(await clientsOnShards({ ...options, encoding: 'msgpack' }, [1])),
    await connect('bob', claims),
  ];
  const foreign = await connect('ann', { tenant: 'elsewhere' });
  const ids = clients.map(idOf).toSorted();
  const admin = adminOf('listed');
  const all = await call('sessions', admin);
  assert.equal(all.status, 200);
  assert.deepEqual([idsOf(all.json), all.json.hasMore], [ids, false]);
  const line = all.json.sessions.find(({ sessionId }: Envelope['data']) => sessionId === idOf(clients[2]!));
  assert.deepEqual(
    [line.userId, line.shard, line.encoding, line.subscriptions, typeof line.idleMs, typeof line.outboxBytes],
    ['ann', 1, 'msgpack', 0, 'number', 'number'],
  );
  const pages: string[] = [];
  for (;;) {
    const after = pages.at(-1);
    const { json } = await call(`sessions?limit=1${after === undefined ? '' : `&after=${after}`}`, admin);
    assert.equal(json.sessions.length, 1);
    pages.push(...idsOf(json));
    if (!json.hasMore) break;
  }
  assert.deepEqual(pages, ids);
  assert.deepEqual(idsOf((await call('sessions?user=bob', admin)).json), [idOf(clients[3]!)]);
  assert.deepEqual(idsOf((await call('sessions?user=ann', admin)).json).length, 3);
  const none = await call('sessions?user=carl', admin);
  assert.deepEqual(none.json, { sessions: [], hasMore: false });
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'user=no%20spaces']) {
    const { status, json } = await call(`sessions?${query}`, admin);
    assert.deepEqual([status, json.error.code], [400, 'bad_request'], query);
    assert.match(json.error.message, new RegExp(query.split('=')[0] as string));
  }
  const others = idsOf((await call('sessions?limit=1000')).json);
  assert.ok(
    ids.every((id) => !others.includes(id)),
    'a key is of the default tenant',
  );
  await Promise.all([...clients, foreign].map((client) => client.close()));
});

test('one session, whichever shard it is on, with all that it has', async () => {
  for (const [client] of [
    await clientsOnShards({ url: server.url, token: tokenOf('seen') }, [0]),
    await clientsOnShards({ url: server.url, token: tokenOf('seen'), encoding: 'msgpack' }, [1]),
  ] as [TestClient][]) {
    const filter = { event: 'deploy' };
    await succeed(client, 'Subscribe', { topic: 'live:dump', filter });
    await succeed(client, 'Subscribe', { topic: 'dump', presence: true });
    await succeed(client, 'PresenceSubscribe', { users: ['x', 'y'] });
    await succeed(client, 'Presence', { status: 'busy', device: { kind: 'agent' } });
    const { status, json } = await call(`sessions/${idOf(client)}`);
    assert.equal(status, 200);
    const { sessionId, userId, shard, encoding, subscriptions, watching, topics, presence, mailbox } = json;
    assert.deepEqual(
      [sessionId, userId, shard, encoding, subscriptions, watching, mailbox],
      [idOf(client), 'seen', client.shard, client.encoding, 2, ['x', 'y'], 0],
    );
    assert.deepEqual(topics, [
      { topic: 'live:dump', filter, presence: false, recovering: false },
      { topic: 'dump', presence: true, recovering: false },
    ]);
    assert.deepEqual([presence.status, presence.device], ['busy', { kind: 'agent' }]);
    assert.ok(json.tokenExpiresAt > Date.now());
    assert.ok(json.idleMs >= 0 && json.outboxBytes >= 0);
    assert.doesNotMatch(JSON.stringify(json), new RegExp(connectOf(client).resumeToken), 'no secret');
    await client.close();
  }
  const missing = await call('sessions/no-such-session');
  assert.deepEqual([missing.status, missing.json.error.code], [404, 'not_found']);
});

test('one session is ended with 4501 and cannot be resumed; the others of the user go on; it is audited', async () => {
  const clients = await clientsOnShards({ url: server.url, token: tokenOf('kicked') }, [0, 1, 1]);
  const [first, second, third] = clients as [TestClient, TestClient, TestClient];
  for (const client of [first, second]) {
    const { status, json } = await call(`sessions/${idOf(client)}`, apiKey, 'DELETE');
    assert.deepEqual([status, json], [200, { closed: 1 }]);
    assert.equal(await client.closeCode(), 4501);
    assert.equal(await resumeCode(client), 'resume_failed');
    assert.equal((await call(`sessions/${idOf(client)}`, apiKey, 'DELETE')).status, 404);
    assert.equal((await call(`sessions/${idOf(client)}`)).status, 404);
    await audited({ session: idOf(client) });
  }
  assert.equal((await third.request('Ping')).type, 'Pong');
  await third.close();
});

test('all sessions of a user are ended, of this tenant only; it is audited who did it', async () => {
  const clients = await clientsOnShards({ url: server.url, token: tokenOf('banned') }, [0, 1, 1]);
  const namesake = await connect('banned', { tenant: 'elsewhere' });
  const other = await connect('not-banned');
  const boss = tokenOf('boss', { roles: ['admin'] });
  const { status, json } = await call('users/banned/sessions', boss, 'DELETE');
  assert.deepEqual([status, json], [200, { closed: 3 }]);
  for (const client of clients) {
    assert.equal(await client.closeCode(), 4501);
    assert.equal(await resumeCode(client), 'resume_failed');
  }
  for (const client of [namesake, other]) assert.equal((await client.request('Ping')).type, 'Pong');
  const line = await audited({ user: 'banned' });
  assert.match(JSON.stringify(line), /boss/);
  for (const client of clients) assert.match(JSON.stringify(line), new RegExp(idOf(client)));
  assert.deepEqual((await call('users/banned/sessions', boss, 'DELETE')).json, { closed: 0 });
  await Promise.all([namesake, other].map((client) => client.close()));
});

test('a session that is without a connection just then cannot be resumed either when all of the user are ended', async () => {
  for (const home of [0, 1]) {
    const name = homedAt(home, (index) => `in-the-lift-${index}`);
    const client = await connect(name);
    const before = await metricOf(server.url, 'sessions_detached');
    client.socket.terminate();
    await eventually(
      'the loss is noticed',
      async () => (await metricOf(server.url, 'sessions_detached')) > before,
    );
    await call(`users/${name}/sessions`, apiKey, 'DELETE');
    assert.equal(await resumeCode(client), 'resume_failed');
  }
});

test("another tenant's sessions are not there", async () => {
  const ours = await connect('private');
  const theirs = adminOf('other');
  for (const method of ['GET', 'DELETE']) {
    const { status, json } = await call(`sessions/${idOf(ours)}`, theirs, method);
    assert.deepEqual([status, json.error.code], [404, 'not_found']);
  }
  assert.deepEqual((await call('users/private/sessions', theirs, 'DELETE')).json, { closed: 0 });
  assert.deepEqual((await call('sessions', theirs)).json, { sessions: [], hasMore: false });
  assert.equal((await call('presence/private', theirs)).json.status, 'offline');
  assert.equal((await ours.request('Ping')).type, 'Pong');
  await ours.close();
});

test('sessions are for administrators', async () => {
  const client = await connect('plain');
  const paths = [
    ['GET', 'sessions'],
    ['GET', `sessions/${idOf(client)}`],
    ['DELETE', `sessions/${idOf(client)}`],
    ['DELETE', 'users/plain/sessions'],
  ] as const;
  const narrow = tokenOf('narrow', { permissions: ['admin:chat:*', 'presence:*'] });
  for (const [method, path] of paths) {
    for (const [credential, expected] of [
      [tokenOf('plain'), 403],
      [narrow, 403],
      ['not-a-key', 401],
      ['', 401],
    ] as const) {
      const { status, json } = await call(path, credential, method);
      assert.equal(status, expected, `${method} ${path}`);
      assert.equal(json.error.code, expected === 403 ? 'permission_denied' : 'unauthorized');
    }
  }
  assert.equal((await client.request('Ping')).type, 'Pong');
  await client.close();
});

test('how a user is, over HTTP, for who may know', async () => {
  for (const home of [0, 1]) {
    const name = homedAt(home, (index) => `rest-${index}`);
    assert.deepEqual((await call(`presence/${name}`)).json, { user: name, status: 'offline', devices: [] });
    const client = await connect(name);
    const said = { status: 'busy', device: { id: 'd', kind: 'browser' }, meta: { a: 1 } };
    await succeed(client, 'Presence', said);
    const expected = {
      ...{ user: name, status: 'busy', meta: { a: 1 } },
      devices: [{ ...said.device, status: 'busy' }],
    };
    await eventually('it is busy', async () => (await call(`presence/${name}`)).json.status === 'busy');
    for (const credential of [
      apiKey,
      tokenOf('ann'),
      tokenOf('eve', { permissions: [`presence:${name}`] }),
    ]) {
      const { status, json } = await call(`presence/${name}`, credential);
      assert.deepEqual([status, json], [200, expected]);
    }
    const refused = await call(`presence/${name}`, tokenOf('eve', { permissions: ['presence:other'] }));
    assert.equal(refused.status, 403);
    assert.match(refused.json.error.message, new RegExp(`presence:${name}`));
    assert.equal((await call(`presence/${name}`, '')).status, 401);
    client.socket.close(1000);
    await eventually('it is gone', async () => (await call(`presence/${name}`)).json.lastSeen > 0);
  }
  assert.equal((await call('presence/no%20spaces')).status, 400);
});

test('everybody may see themselves, over HTTP as over a connection', async () => {
  const claims = { permissions: ['subscribe:*'] };
  const self = await connect('self', claims);
  await succeed(self, 'PresenceQuery', { users: ['self'] });
  assert.equal((await call('presence/self', tokenOf('self', claims))).status, 200);
  await self.close();
});

test('who is in a topic, over HTTP, in pages, for who may know', async () => {
  for (const home of [0, 1]) {
    const topic = homedAt(home, (index) => `rest/room:${index}`);
    const path = `topics/${encodeURIComponent(topic)}/members`;
    assert.deepEqual((await call(path)).json, { users: [], memberCount: 0, hasMore: false });
    const clients = await Promise.all(['ann', 'bob', 'carl'].map((name) => connect(name)));
    for (const client of clients) await succeed(client, 'Subscribe', { topic, presence: true });
    const names = async (query: string) => {
      const { json } = await call(`${path}?${query}`);
      return [json.users.map(({ user }: Envelope['data']) => user), json.memberCount, json.hasMore];
    };
    assert.deepEqual(await names(''), [['ann', 'bob', 'carl'], 3, false]);
    assert.deepEqual(await names('limit=2'), [['ann', 'bob'], 3, true]);
    assert.deepEqual(await names('after=bob&limit=2'), [['carl'], 3, false]);
    for (const query of ['limit=0', 'limit=201', 'after=no%20spaces']) {
      const { status, json } = await call(`${path}?${query}`);
      assert.deepEqual([status, json.error.code], [400, 'bad_request'], query);
    }
    const blind = await call(path, tokenOf('blind', { permissions: ['presence:other:*'] }));
    assert.deepEqual([blind.status, blind.json.error.code], [403, 'permission_denied']);
    assert.equal((await call(path, adminOf('other'))).json.memberCount, 0, 'of another tenant');
    await Promise.all(clients.map((client) => client.close()));
  }
  assert.equal((await call('topics/a%20b/members')).status, 400);
});
