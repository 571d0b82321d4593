/** Subscriptions, permissions, filters, keys and broadcasts to everyone, over real sockets and threads. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientsOnShards, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const connect = (user: string, claims: object = {}, encoding: 'json' | 'msgpack' = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user, claims), encoding });

test('[SES4] each command with an id gets one reply; without an id success is silent and failure is not', async () => {
  const client = await connect('ann');
  client.send([
    { type: 'Subscribe', id: 's1', data: { topic: 't:1' } },
    { type: 'Subscribe', id: 's2', data: { topic: 't:1' } },
    { type: 'Unsubscribe', id: 'u1', data: { topic: 't:1' } },
    { type: 'Unsubscribe', id: 'u2', data: { topic: 't:1' } },
    { type: 'Subscribe', data: { topic: 't:2' } },
    { type: 'Subscribe', data: { topic: 'no spaces' } },
    { type: 'Fly', id: 'q1', data: { topic: 't:1' } },
    { type: 'Ping', id: 'p1', data: { n: 1 } },
  ]);
  for (const id of ['p1', 's1']) await client.waitFor((envelope) => envelope.id === id);
  const replies = client.received.filter((envelope) => envelope.data.op !== 'Connect');
  assert.deepEqual(
    replies.map(({ type, id, data }) => [type, id, data.op ?? data.n, data.code]).sort(),
    [
      ['Error', undefined, 'Subscribe', 'invalid_topic'],
      ['Error', 'q1', 'Fly', 'unknown_type'],
      ['Error', 's2', 'Subscribe', 'already_subscribed'],
      ['Error', 'u2', 'Unsubscribe', 'not_subscribed'],
      ['Pong', 'p1', 1, undefined],
      ['Status', 's1', 'Subscribe', undefined],
      ['Status', 'u1', 'Unsubscribe', undefined],
    ].sort(),
  );
  await client.close();
});

test('a token without the permission can neither subscribe, publish, send nor broadcast to all', async () => {
  const client = await connect('eve', { permissions: ['subscribe:open:*', 'publish:open:*'] });
  const codeOf = async (type: string, data: object) =>
    (await client.request(type, data)).data.code as string | undefined;
  assert.equal(await codeOf('Subscribe', { topic: 'secret:1' }), 'permission_denied');
  assert.equal(await codeOf('Broadcast', { topic: 'secret:1', payload: 1 }), 'permission_denied');
  assert.equal(await codeOf('DirectMessage', { to: 'ann', payload: 1 }), 'permission_denied');
  assert.equal(await codeOf('Broadcast', { payload: 1 }), 'permission_denied');
  assert.equal(await codeOf('Subscribe', { topic: 'inbox:ann' }), 'permission_denied');
  assert.equal(await codeOf('Broadcast', { topic: 'inbox:ann', payload: 1 }), 'invalid_topic');
  assert.equal(await codeOf('Broadcast', { topic: 'sys:all', payload: 1 }), 'invalid_topic');
  assert.equal(await codeOf('Subscribe', { topic: 'open:1' }), undefined);
  assert.equal(await codeOf('Broadcast', { topic: 'open:1', payload: 1 }), undefined);
  await client.close();
});

test('a broadcast without a topic reaches every user of the tenant and nobody else', async () => {
  const boss = await connect('boss', { roles: ['admin'] });
  const [json, msgpack] = [await connect('j'), await connect('m', {}, 'msgpack')];
  const stranger = await connect('s', { tenant: 'other' });
  const reply = await boss.request('Broadcast', { payload: 'all hands', event: 'notice' });
  for (const client of [json, msgpack, boss]) {
    const { id, data } = await client.waitFor((envelope) => envelope.type === 'Broadcast');
    assert.equal(id, reply.data.messageId);
    assert.deepEqual(data, { from: 'boss', event: 'notice', payload: 'all hands' });
  }
  await stranger.request('Ping');
  assert.equal(stranger.ofType('Broadcast').length, 0);
});

test('the same topic name in two tenants is two topics', async () => {
  const [ours, theirs] = [await connect('a', { tenant: 'one' }), await connect('a', { tenant: 'two' })];
  for (const client of [ours, theirs]) await client.request('Subscribe', { topic: 'chat:1' });
  await ours.request('Broadcast', { topic: 'chat:1', payload: 'ours' });
  await theirs.request('Broadcast', { topic: 'chat:1', payload: 'theirs' });
  await ours.waitFor((envelope) => envelope.type === 'Broadcast');
  await theirs.waitFor((envelope) => envelope.type === 'Broadcast');
  assert.deepEqual(
    [ours, theirs].map((client) => client.ofType('Broadcast').map((envelope) => envelope.data.payload)),
    [['ours'], ['theirs']],
  );
});

test('a filter lets pass what fits, whatever the shard and encoding', async () => {
  const filter = { event: 'deploy', 'payload.region': { in: ['eu', 'us'] }, priority: { gte: 'high' } };
  const clients = [
    ...(await clientsOnShards({ url: server.url, token: tokenOf('f1') }, [0, 1])),
    ...(await clientsOnShards({ url: server.url, token: tokenOf('f2'), encoding: 'msgpack' }, [0, 1])),
  ];
  for (const client of clients) await client.request('Subscribe', { topic: 'ops:1', filter });
  const all = await connect('f3');
  await all.request('Subscribe', { topic: 'ops:1' });
  const sender = await connect('f4');
  const fits = { topic: 'ops:1', event: 'deploy', priority: 'critical', payload: { region: 'eu', n: 1 } };
  for (const data of [
    { ...fits, event: 'test' },
    { ...fits, priority: 'normal' },
    { ...fits, payload: { region: 'asia' } },
    fits,
  ]) {
    await sender.request('Broadcast', data);
  }
  for (const client of clients) {
    const { data } = await client.waitFor((envelope) => envelope.type === 'Broadcast');
    assert.deepEqual(data.payload, { region: 'eu', n: 1 });
    assert.equal(client.ofType('Broadcast').length, 1);
  }
  await all.until(() => all.ofType('Broadcast').length === 4);
  const wrong = await sender.request('Subscribe', { topic: 'ops:1', filter: { event: { like: 'x' } } });
  assert.equal(wrong.data.code, 'invalid_filter');
  assert.match(wrong.data.message, /"event".*"like"/);
});

test('[PUB3] the same key is accepted once, from whichever connection; another body under it is a conflict', async () => {
  const reader = await connect('r');
  await reader.request('Subscribe', { topic: 'keys:1' });
  const [first, second] = await clientsOnShards({ url: server.url, token: tokenOf('w') }, [0, 1]);
  const original = await first!.request('Broadcast', { topic: 'keys:1', payload: { a: 1 }, key: 'k1' });
  const repeated = await second!.request('Broadcast', { topic: 'keys:1', payload: { a: 1 }, key: 'k1' });
  assert.equal(repeated.data.messageId, original.data.messageId);
  assert.deepEqual([original.data.duplicate, repeated.data.duplicate], [undefined, true]);
  assert.equal(
    (await second!.request('Broadcast', { topic: 'keys:1', payload: { a: 2 }, key: 'k1' })).data.code,
    'key_conflict',
  );
  await first!.request('Broadcast', { topic: 'keys:1', payload: 'end', key: 'k2' });
  await reader.waitFor((envelope) => envelope.data.payload === 'end');
  assert.equal(reader.ofType('Broadcast').length, 2);
  const direct = await first!.request('DirectMessage', { to: 'r', payload: 1, key: 'd1' });
  assert.equal(
    (await second!.request('DirectMessage', { to: 'r', payload: 1, key: 'd1' })).data.messageId,
    direct.data.messageId,
  );
});

test('[PUB1] [PUB2] a subscriber that joins in the middle misses nothing that is accepted after its reply', async () => {
  const [sender] = await clientsOnShards({ url: server.url, token: tokenOf('s') }, [0]);
  let accepted = 0;
  let sent = 0;
  let isOver = false;
  const publishing = (async () => {
    while (!isOver) {
      await sender!.request('Broadcast', { topic: 'join:1', payload: ++sent });
      accepted = sent;
    }
  })();
  for (let round = 0; round < 40; round++) {
    const reader = await connect(`late-${round}`, {}, round % 2 === 0 ? 'json' : 'msgpack');
    await reader.request('Subscribe', { topic: 'join:1' });
    const atReply = accepted;
    await reader.until(() => reader.ofType('Broadcast').length >= 5);
    const payloads = reader.ofType('Broadcast').map((envelope) => envelope.data.payload as number);
    assert.ok(
      payloads[0]! <= atReply + 2,
      `the first was ${payloads[0]}, ${atReply} were accepted at the reply`,
    );
    assert.deepEqual(
      payloads,
      payloads.map((_, index) => payloads[0]! + index),
    );
    await reader.close();
  }
  isOver = true;
  await publishing;
});

test('binary payloads survive: bin to msgpack clients, base64 to JSON clients', async () => {
  const [json, msgpack] = [await connect('bj'), await connect('bm', {}, 'msgpack')];
  for (const client of [json, msgpack]) await client.request('Subscribe', { topic: 'bin:1' });
  await msgpack.request('Broadcast', {
    topic: 'bin:1',
    payload: { image: Buffer.from([1, 2, 255]), nested: [{ x: null }] },
  });
  const text = (await json.waitFor((envelope) => envelope.type === 'Broadcast')).data.payload;
  const bytes = (await msgpack.waitFor((envelope) => envelope.type === 'Broadcast')).data.payload;
  assert.deepEqual(text, { image: 'AQL/', nested: [{ x: null }] });
  assert.deepEqual([...bytes.image], [1, 2, 255]);
});

test('the largest payload crosses shards, although it is larger than a record of the ring', async () => {
  const big = await startTestServer({ RING_BYTES: '64kb', MAX_MESSAGE_BYTES: '1mb', OUTBOX_BYTES: '16mb' });
  try {
    const readers = await clientsOnShards({ url: big.url, token: tokenOf('big') }, [0, 1]);
    for (const topic of ['big:1', 'big:2', 'big:3', 'big:4']) {
      for (const reader of readers) await reader.request('Subscribe', { topic });
      const payload = `${topic}${'x'.repeat(900_000)}`;
      assert.equal((await readers[0]!.request('Broadcast', { topic, payload })).type, 'Status');
      for (const reader of readers) await reader.waitFor((envelope) => envelope.data.payload === payload);
    }
  } finally {
    await big.stop();
  }
});

test('subscriptions are limited per connection, and the error names the limit', async () => {
  const small = await startTestServer({ MAX_SUBSCRIPTIONS: '2' });
  const client = await TestClient.connect({ url: small.url, token: tokenOf('a') });
  for (const topic of ['a', 'b']) assert.equal((await client.request('Subscribe', { topic })).type, 'Status');
  const refused = await client.request('Subscribe', { topic: 'c' });
  assert.equal(refused.data.code, 'limit_exceeded');
  assert.match(refused.data.message, /MAX_SUBSCRIPTIONS/);
  await small.stop();
});

test('a token that allows less ends what it no longer allows, and says so', async () => {
  const client = await connect('shrinking', { permissions: ['subscribe:*'] });
  for (const topic of ['team:a', 'team:b']) await client.request('Subscribe', { topic });
  const token = tokenOf('shrinking', { permissions: ['subscribe:team:a'] });
  assert.equal((await client.request('Auth', { token })).type, 'Status');
  const ended = await client.waitFor((envelope) => envelope.data.op === 'Subscription');
  assert.deepEqual([ended.data.topic, ended.data.active], ['team:b', false]);
  assert.match(ended.data.reason, /subscribe:team:b/);
  const other = await connect('other');
  for (const topic of ['team:b', 'team:a']) await other.request('Broadcast', { topic, payload: topic });
  await client.waitFor((envelope) => envelope.type === 'Broadcast');
  assert.deepEqual(
    client.ofType('Broadcast').map((envelope) => envelope.data.topic),
    ['team:a'],
  );
});
