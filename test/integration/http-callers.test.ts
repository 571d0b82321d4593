/** Who calls the HTTP API: how often a user's token may, and what an administrator of something may not. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { type HttpAnswer, post } from '../kit/http-call.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const apiKey = 'an-api-key-of-the-tests';
const limited = { RATE_LIMIT_ENABLED: 'true', RATE_LIMIT_CONNECTION: '3/1h', RATE_LIMIT_BURST: '2' };
const permitted = 3 + 2;
let server: TestServer;
before(async () => {
  // One shard, one bucket for each user.
  server = await startTestServer({ ...limited, SHARDS: '1', API_KEYS: apiKey });
});
after(() => server.stop());

const publish = (credential: string, on = server) =>
  post(on.url, 'publish', { topic: 'a', payload: 1 }, credential);

function isTooFast({ status, headers, json }: HttpAnswer): void {
  assert.deepEqual([status, json.error.code, json.error.retryable], [429, 'rate_limited', true]);
  assert.ok(json.error.retryAfterMs > 0 && json.error.retryAfterMs <= 1_200_000, json.error.retryAfterMs);
  assert.equal(headers.get('retry-after'), String(Math.ceil(json.error.retryAfterMs / 1000)));
}

test("calls with a user's token are limited: beyond the rate and its burst they are 429 with the time to wait", async () => {
  const token = tokenOf('ann');
  for (let count = 0; count < permitted; count++) assert.equal((await publish(token)).status, 200);
  isTooFast(await publish(token));
  isTooFast(await publish(token));
});

test('the rate is that of the user in their tenant, whatever the token and the route', async () => {
  for (let count = 0; count < permitted; count++) await publish(tokenOf('ben', { nonce: count }));
  const token = tokenOf('ben', { roles: ['admin'] });
  isTooFast(await post(server.url, 'direct', { to: 'ann', payload: 1 }, token));
  isTooFast(await post(server.url, 'broadcast', { payload: 1 }, token));
  assert.equal((await publish(tokenOf('cat'))).status, 200);
  assert.equal((await publish(tokenOf('ben', { tenant: 'other' }))).status, 200);
});

test('calls with an API key are not limited', async () => {
  for (let count = 0; count < 4 * permitted; count++) assert.equal((await publish(apiKey)).status, 200);
});

test('a token that is not good uses up no rate of the user that it names', async () => {
  for (let count = 0; count < 2 * permitted; count++) {
    assert.equal((await publish(tokenOf('dan', {}, -60_000))).status, 401);
  }
  assert.equal((await publish(tokenOf('dan'))).status, 200);
});

test('RATE_LIMIT_ENABLED=false: nobody is limited', async (t: TestContext) => {
  const free = await startTestServer({ ...limited, RATE_LIMIT_ENABLED: 'false', SHARDS: '1' });
  t.after(() => free.stop());
  const token = tokenOf('ann');
  for (let count = 0; count < 4 * permitted; count++) assert.equal((await publish(token, free)).status, 200);
});

for (const permission of ['admin:chat:*', 'admin:a*', 'admin:audit']) {
  test(`${permission} does not allow to speak for others over HTTP; admin:* does`, async () => {
    const call = (user: string, entry: string, from: string) =>
      post(
        server.url,
        'publish',
        { topic: 'chat:1', payload: 1, from },
        tokenOf(user, { permissions: ['publish:*', entry] }),
      );
    const user = permission.replaceAll(/[^a-z]/g, '-');
    const { status, json } = await call(user, permission, 'somebody');
    assert.deepEqual([status, json.error?.code], [403, 'permission_denied']);
    assert.match(json.error.message, /admin.*body\.from "somebody"/);
    assert.equal((await call(user, permission, user)).status, 200, 'for oneself');
    assert.equal((await call(`boss-of-${user}`, 'admin:*', 'somebody')).status, 200);
  });
}
