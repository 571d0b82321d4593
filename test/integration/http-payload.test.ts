/** Payloads over HTTP: the same bounds as over WebSocket, and what is within them reaches clients of both encodings. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { depthMax } from '#proto/limits.ts';
import { post } from '../kit/http-call.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const apiKey = 'an-api-key-of-the-tests';
let server: TestServer;
before(async () => {
  server = await startTestServer({ API_KEYS: apiKey });
});
after(() => server.stop());

const routes: [path: string, fields: object][] = [
  ['publish', { topic: 'deep:1' }],
  ['broadcast', {}],
  ['direct', { to: 'ann' }],
];
/** Levels of a payload: the envelope and its data are two. */
const payloadDepthMax = depthMax - 2;
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const nestedObjects = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`;

/** A body with `payload` as text: what JSON.stringify would not write. */
function bodyWith(fields: object, payload: string): string {
  return JSON.stringify({ ...fields, payload: 0 }).replace('"payload":0', `"payload":${payload}`);
}

const refused: [name: string, payload: string, message: RegExp][] = [
  ['arrays one level too deep', nested(payloadDepthMax + 1), /^body\.payload: nested deeper than 16$/],
  [
    'objects one level too deep',
    nestedObjects(payloadDepthMax + 1),
    /^body\.payload: nested deeper than 16$/,
  ],
  ['arrays far too deep', nested(10_000), /^body\.payload: nested deeper than 16$/],
  ['a number that overflows', '1e999', /^body\.payload: numbers must be finite$/],
  ['a number that overflows inside', '{"a":[1,{"b":-1e999}]}', /^body\.payload: numbers must be finite$/],
];

for (const [path, fields] of routes) {
  for (const [name, payload, message] of refused) {
    test(`[DEC1] ${path}: a payload of ${name} is 400 bad_request and names body.payload`, async () => {
      const { status, json } = await post(server.url, path, bodyWith(fields, payload), apiKey);
      assert.deepEqual([status, json.error.code, json.error.retryable], [400, 'bad_request', false]);
      assert.match(json.error.message, message);
    });
  }

  test(`[DEC1] ${path}: a payload with a key __proto__ is 400 bad_request`, async () => {
    for (const payload of [
      '{"__proto__":{"polluted":1}}',
      '[{"a":{"__proto__":1}}]',
      '{"__pr\\u006fto__":1}',
    ]) {
      const { status, json } = await post(server.url, path, bodyWith(fields, payload), apiKey);
      assert.deepEqual([status, json.error.code], [400, 'bad_request'], payload);
    }
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  test(`${path}: a payload as deep as allowed reaches clients of both encodings`, async () => {
    const token = tokenOf('ann');
    const clients = [
      await TestClient.connect({ url: server.url, token, encoding: 'json' }),
      await TestClient.connect({ url: server.url, token, encoding: 'msgpack' }),
    ];
    if (path === 'publish')
      for (const client of clients) await client.request('Subscribe', { topic: 'deep:1' });
    for (const payload of [nested(payloadDepthMax), nestedObjects(payloadDepthMax), '1e308']) {
      const { status, json } = await post(server.url, path, bodyWith(fields, payload), apiKey);
      assert.equal(status, 200, json.error?.message);
      for (const client of clients) {
        const { data } = await client.waitFor(({ id }) => id === json.messageId);
        assert.deepEqual(data.payload, JSON.parse(payload));
      }
    }
    await Promise.all(clients.map((client) => client.close()));
  });
}

test('[DEC1] the refusal of a key __proto__ names body.payload', async () => {
  const body = bodyWith({ topic: 'a' }, '{"__proto__":1}');
  const { json } = await post(server.url, 'publish', body, apiKey);
  assert.match(json.error.message, /^body\.payload: the key "__proto__" is refused$/);
});

test('the depth that HTTP allows is the depth that a WebSocket client may send', async () => {
  const client = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
  const send = (id: string, depth: number) =>
    client.sendRaw(
      `{"type":"Broadcast","id":"${id}","data":${bodyWith({ topic: 'deep:2' }, nested(depth))}}`,
    );
  send('at', payloadDepthMax);
  assert.equal((await client.waitFor(({ id }) => id === 'at')).type, 'Status');
  send('over', payloadDepthMax + 1);
  const { data } = await client.waitFor(({ type }) => type === 'Error');
  assert.match(data.message, /nested deeper than 16/);
  await client.close();
});

test('[PUB3] the same key and payload with another event is 409 key_conflict; with the same event a duplicate', async () => {
  for (const [path, fields] of routes) {
    const call = (extra: object) =>
      post(server.url, path, { ...fields, payload: { a: 1 }, key: `e-${path}`, ...extra }, apiKey);
    const first = await call({ event: 'made' });
    assert.equal(first.status, 200);
    for (const extra of [{ event: 'undone' }, {}]) {
      const { status, json } = await call(extra);
      assert.deepEqual([status, json.error?.code], [409, 'key_conflict'], path);
    }
    const again = await call({ event: 'made', priority: 'high' });
    assert.deepEqual(again.json, { ...first.json, duplicate: true });
  }
});
