/** The HTTP side: operations, publishing from servers, errors. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const apiKey = 'an-api-key-of-the-tests';
let server: TestServer;
before(async () => {
  server = await startTestServer({ API_KEYS: `other-key,${apiKey}` });
});
after(() => server.stop());

async function call(
  path: string,
  body?: unknown,
  credential: string | null = apiKey,
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
): Promise<{ status: number; headers: Headers; json: any }> {
  const response = await fetch(`http://${server.url}${path}`, {
    ...(body === undefined
      ? {}
      : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) }),
    headers: {
      'content-type': 'application/json',
      ...(credential === null ? {} : { authorization: `Bearer ${credential}` }),
    },
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}

test('health, readiness and facts are answered on the public port', async () => {
  assert.deepEqual((await call('/health')).json, { status: 'ok' });
  for (const path of ['/health/ready', '/ready']) {
    const { status, json } = await call(path);
    assert.equal(status, 200);
    assert.deepEqual(json, {
      status: 'ready',
      dependencies: { 'shard 0': 'up', 'shard 1': 'up', store: 'up' },
    });
  }
  const { json } = await call('/info');
  assert.equal(json.name, 'carillon');
  assert.equal(json.shards, 2);
  assert.equal(json.limits.maxMessageBytes, 65_536);
});

test('the description lists every route, with schemas and the way to authenticate', async () => {
  const { json } = await call('/openapi.json');
  assert.match(json.openapi, /^3\./);
  for (const path of [
    '/health',
    '/health/ready',
    '/ready',
    '/metrics',
    '/info',
    '/api/v1/publish',
    '/api/v1/broadcast',
    '/api/v1/direct',
    '/api/v1/topics/{topic}/messages',
    '/api/v1/topics/{topic}/replay',
    '/api/v1/stats',
    '/api/v1/users/{user}/messages',
  ]) {
    assert.ok(json.paths[path], path);
  }
  const publish = json.paths['/api/v1/publish'].post;
  assert.deepEqual(publish.requestBody.content['application/json'].schema.required, ['topic', 'payload']);
  assert.deepEqual(publish.security, [{ bearer: [] }]);
});

test('a server publishes, sends directly and broadcasts; clients receive it', async () => {
  const client = await TestClient.connect({ url: server.url, token: tokenOf('web'), encoding: 'msgpack' });
  for (let index = 0; index < 4; index++) await client.request('Subscribe', { topic: `live:api:${index}` });
  for (let index = 0; index < 4; index++) {
    const { status, json } = await call('/api/v1/publish', {
      topic: `live:api:${index}`,
      payload: { index },
      event: 'made',
      from: 'robot',
    });
    assert.equal(status, 200);
    const { id, data } = await client.waitFor(
      (envelope) => envelope.data.topic === `live:api:${index}` && envelope.type === 'Broadcast',
    );
    assert.equal(id, json.messageId);
    assert.deepEqual(data, { topic: `live:api:${index}`, from: 'robot', event: 'made', payload: { index } });
  }
  const direct = await call('/api/v1/direct', { to: 'web', payload: 'psst' });
  assert.equal(
    (await client.waitFor((envelope) => envelope.type === 'DirectMessage')).id,
    direct.json.messageId,
  );
  await call('/api/v1/broadcast', { payload: 'all' });
  await client.waitFor((envelope) => envelope.type === 'Broadcast' && envelope.data.payload === 'all');
  await client.close();
});

test('the same key answers with the same message, another body is a conflict', async () => {
  const first = await call('/api/v1/publish', { topic: 'live:k:1', payload: 1, key: 'a' });
  const again = await call('/api/v1/publish', { topic: 'live:k:1', payload: 1, key: 'a' });
  assert.deepEqual(again.json, { messageId: first.json.messageId, duplicate: true });
  const conflict = await call('/api/v1/publish', { topic: 'live:k:1', payload: 2, key: 'a' });
  assert.deepEqual(
    [conflict.status, conflict.json.error.code, conflict.json.error.retryable],
    [409, 'key_conflict', false],
  );
});

test('errors carry a code and name the field, never a stack', async () => {
  const cases: [
    path: string,
    body: unknown,
    credential: string | null,
    status: number,
    code: string,
    message: RegExp,
  ][] = [
    ['/api/v1/publish', { payload: 1 }, apiKey, 400, 'bad_request', /topic/],
    ['/api/v1/publish', { topic: 'a b', payload: 1 }, apiKey, 400, 'bad_request', /topic/],
    ['/api/v1/publish', { topic: 'inbox:x', payload: 1 }, apiKey, 400, 'invalid_topic', /inbox:x/],
    ['/api/v1/publish', { topic: 'a', payload: 1, priority: 'x' }, apiKey, 400, 'bad_request', /priority/],
    ['/api/v1/publish', '{"topic":', apiKey, 400, 'bad_request', /JSON/i],
    [
      '/api/v1/publish',
      { topic: 'a', payload: 'x'.repeat(70_000) },
      apiKey,
      413,
      'message_too_large',
      /MAX_MESSAGE_BYTES/,
    ],
    ['/api/v1/publish', { topic: 'a', payload: 1 }, null, 401, 'unauthorized', /Bearer/],
    ['/api/v1/publish', { topic: 'a', payload: 1 }, 'wrong', 401, 'unauthorized', /token/],
    [
      '/api/v1/publish',
      { topic: 'admin:x', payload: 1 },
      tokenOf('u'),
      403,
      'permission_denied',
      /publish:admin:x/,
    ],
    [
      '/api/v1/publish',
      { topic: 'a', payload: 1, from: 'else' },
      tokenOf('u'),
      403,
      'permission_denied',
      /admin/,
    ],
    ['/api/v1/broadcast', { payload: 1 }, tokenOf('u'), 403, 'permission_denied', /broadcast:all/],
    ['/api/v1/direct', { to: 'a b', payload: 1 }, apiKey, 400, 'bad_request', /to/],
    ['/nowhere', undefined, null, 404, 'not_found', /GET \/nowhere/],
  ];
  for (const [path, body, credential, status, code, message] of cases) {
    const answer = await call(path, body, credential);
    assert.deepEqual(
      [answer.status, answer.json.error.code],
      [status, code],
      `${path} ${JSON.stringify(body)?.slice(0, 60)}`,
    );
    assert.match(answer.json.error.message, message);
    assert.doesNotMatch(JSON.stringify(answer.json), /\.ts|at /);
    assert.ok(answer.headers.get('x-request-id'));
  }
});

test('an upgrade path without an upgrade is 426', async () => {
  assert.equal((await call('/ws')).status, 426);
});

test('the metrics of all threads are one page, wherever it is asked for', async () => {
  const before = await metricOf(server.url, 'websocket_messages_total{direction="in"}');
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      TestClient.connect({ url: server.url, token: tokenOf(`m${index}`) }),
    ),
  );
  for (const client of clients) await client.request('Ping');
  await eventually(
    'both shards counted',
    async () => (await metricOf(server.url, 'websocket_messages_total{direction="in"}')) === before + 8,
  );
  assert.ok((await metricOf(server.url, 'websocket_connections_active')) >= 8);
  await Promise.all(clients.map((client) => client.close()));
  await eventually(
    'all are gone',
    async () => (await metricOf(server.url, 'websocket_connections_active')) === 0,
  );
  const page = await (await fetch(`http://${server.url}/metrics`)).text();
  for (const name of [
    'websocket_connections_active',
    'websocket_messages_per_second',
    'actor_mailbox_size',
    'circuit_breaker_state',
  ]) {
    assert.match(page, new RegExp(`# HELP ${name} \\S`));
  }
});
