/** What servers and administrators ask of the store over HTTP: history, statistics, erasure, replay. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { post } from '../kit/http-call.ts';
import { type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const apiKey = 'an-api-key-of-the-tests';
let server: TestServer;
before(async () => {
  server = await startTestServer({ API_KEYS: apiKey });
});
after(() => server.stop());

async function call(path: string, credential = apiKey, method = 'GET') {
  const response = await fetch(`http://${server.url}/api/v1/${path}`, {
    method,
    headers: { authorization: `Bearer ${credential}` },
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  return { status: response.status, json: (await response.json()) as any };
}

async function publish(topic: string, payloads: unknown[], from = 'api'): Promise<Envelope['data'][]> {
  const acks = [];
  for (const payload of payloads) {
    const { status, json } = await post(server.url, 'publish', { topic, payload, from }, apiKey);
    assert.equal(status, 200, JSON.stringify(json));
    acks.push(json);
  }
  return acks;
}

const payloadsOf = (json: Envelope['data']) => json.messages.map(({ payload }: Envelope['data']) => payload);

test('history in pages, for who may read it', async () => {
  const acks = await publish('rest/a:1', [1, 2, 3, 4]);
  const path = 'topics/rest%2Fa:1/messages';
  const { status, json } = await call(`${path}?limit=3`);
  assert.equal(status, 200);
  assert.deepEqual(payloadsOf(json), [2, 3, 4]);
  assert.deepEqual(
    [json.topic, json.epoch, json.firstOffset, json.lastOffset, json.hasMore],
    ['rest/a:1', acks[0].epoch, 1, 4, true],
  );
  assert.deepEqual(payloadsOf((await call(`${path}?after=1&before=4`)).json), [2, 3]);
  const user = tokenOf('ann');
  assert.equal((await call(path, user)).status, 200);
  assert.equal((await call(path, tokenOf('bob', { permissions: ['history:other:*'] }))).status, 403);
  assert.equal((await call('topics/inbox:bob/messages', user)).status, 403);
  assert.equal((await call('topics/inbox:bob/messages')).status, 200, 'an administrator may');
  for (const [query, field] of [
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    ['before=0', 'before'],
    ['after=-1', 'after'],
    ['after=x', 'after'],
  ] as const) {
    const { status: refused, json: error } = await call(`${path}?${query}`);
    assert.deepEqual([refused, error.error.code], [400, 'bad_request'], query);
    assert.match(error.error.message, new RegExp(field));
  }
  assert.equal((await call('topics/a%20b/messages')).status, 400);
});

test('statistics count what is stored', async () => {
  await publish('stats:1', [1, 2, 3]);
  await publish('stats:2', [1]);
  const { json } = await call('stats?days=1&limit=500');
  const today = new Date().toISOString().slice(0, 10);
  const counts = new Map(json.topTopics.map((row: Envelope['data']) => [row.topic, row.messageCount]));
  assert.deepEqual([counts.get('stats:1'), counts.get('stats:2')], [3, 1]);
  // One row, or two where midnight has passed meanwhile.
  const perDay = json.perDay.filter((row: Envelope['data']) => row.topic === 'stats:1') as Envelope['data'][];
  assert.equal(
    perDay.reduce((sum, { messageCount }) => sum + messageCount, 0),
    3,
  );
  assert.ok(perDay.every(({ day }) => day <= today));
  assert.ok(json.messageCount >= 4 && json.topicCount >= 2 && json.storeBytes > 0);
  assert.equal((await call('stats', tokenOf('ann'))).status, 403);
});

test('a user is erased everywhere, and it is in the log who did it', async () => {
  const erin = await TestClient.connect({ url: server.url, token: tokenOf('erin') });
  await erin.request('Broadcast', { topic: 'erase:1', payload: { text: 'zanzibar' } });
  await erin.request('DirectMessage', { to: 'fred', payload: 'zanzibar again' });
  await publish('erase:1', ['kept']);
  assert.equal((await call('users/erin/messages', tokenOf('ann'), 'DELETE')).status, 403);
  const { status, json } = await call('users/erin/messages', apiKey, 'DELETE');
  assert.deepEqual([status, json], [200, { messages: 2 }]);
  assert.deepEqual(payloadsOf((await call('topics/erase:1/messages')).json), [null, 'kept']);
  assert.deepEqual(payloadsOf((await call('topics/inbox:fred/messages')).json), [null]);
  const found = await erin.request('Search', { query: 'zanzibar' });
  assert.deepEqual(found.data.messages, []);
  await eventually('it is logged', () =>
    server.logs.some(
      (line) => line['audit'] === true && line['user'] === 'erin' && line['messageCount'] === 2,
    ),
  );
  await erin.close();
});

test('what was erased is not replayed to who comes back, also where it was published a moment ago', async () => {
  const [gina, hugo] = (await Promise.all(
    ['gina', 'hugo'].map((user) => TestClient.connect({ url: server.url, token: tokenOf(user) })),
  )) as [TestClient, TestClient];
  const topics = Array.from({ length: 8 }, (_, index) => `erase/hot:${index}`); // of all shards
  const epochs = new Map<string, string>();
  for (const topic of topics) {
    const { data } = await gina.request('Broadcast', { topic, payload: 'a secret', event: 'told' });
    epochs.set(topic, data.epoch);
    await publish(topic, ['kept'], 'hugo');
    // One comes back before: the frame that is kept for others goes as well.
    await hugo.request('Subscribe', { topic, since: { offset: 0, epoch: data.epoch } });
    const replayed = await hugo.waitFor(
      ({ data: { topic: of, payload } }) => of === topic && payload === 'kept',
    );
    assert.equal(replayed.data.replay, true);
  }
  const seen = hugo.ofType('Broadcast').map(({ data }) => data.payload);
  assert.equal(seen.filter((payload) => payload === 'a secret').length, topics.length);
  await gina.request('DirectMessage', { to: 'hugo', payload: 'a secret' });
  const { json } = await call('users/gina/messages', apiKey, 'DELETE');
  assert.equal(json.messages, topics.length + 1);
  const iris = await TestClient.connect({ url: server.url, token: tokenOf('iris') });
  for (const topic of topics) {
    const since = { offset: 0, epoch: epochs.get(topic) };
    const { data } = await iris.request('Subscribe', { topic, since });
    assert.equal(data.recovered, true, topic);
    await iris.waitFor(({ data: { topic: of, payload } }) => of === topic && payload === 'kept');
  }
  const again = await TestClient.connect({ url: server.url, token: tokenOf('hugo') });
  const inbox = { topic: 'inbox:hugo', since: { offset: 0, epoch: [...epochs.values()][0] } };
  assert.equal((await again.request('Subscribe', inbox)).data.recovered, true);
  await again.waitFor(({ data }) => data.topic === 'inbox:hugo' && data.offset === 1);
  for (const client of [iris, again]) {
    const text = JSON.stringify(client.received);
    assert.doesNotMatch(text, /secret|told/);
  }
  assert.equal(iris.ofType('Deleted').length, topics.length, 'its place is told');
  await Promise.all([gina, hugo, iris, again].map((client) => client.close()));
});

async function replay(topic: string, body: object, credential = apiKey) {
  const response = await fetch(`http://${server.url}/api/v1/topics/${topic}/replay`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` },
  });
  return { status: response.status, text: await response.text() };
}

const always = { from: '2020-01-01T00:00:00Z', to: '2100-01-01T00:00:00Z' };

test('a stretch of the past is published into another topic, by its senders, without what was deleted', async () => {
  const acks = await publish('past:1', [1, 2, 3, 4], 'ann');
  const ann = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
  await ann.request('Delete', { messageId: acks[1].messageId });
  await ann.request('Subscribe', { topic: 'again:1' });
  const { status, text } = await replay('past:1', { ...always, into: 'again:1', speed: 'max' });
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text.trim().split('\n').at(-1) as string), { published: 3, done: true });
  await ann.until(() => ann.ofType('Broadcast').length === 3);
  assert.deepEqual(
    ann.ofType('Broadcast').map(({ data }) => [data.from, data.payload, data.offset]),
    [
      ['ann', 1, 1],
      ['ann', 3, 2],
      ['ann', 4, 3],
    ],
  );
  const nothing = await replay('past:1', {
    from: '2020-01-01T00:00:00Z',
    to: '2020-01-02T00:00:00Z',
    into: 'again:2',
  });
  assert.deepEqual(JSON.parse(nothing.text), { published: 0, done: true });
  await ann.close();
});

test('a replay takes its time, and ends with the connection that asked for it', async () => {
  await publish('past:2', [1]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await publish('past:2', [2]);
  const gone = new AbortController();
  const response = await fetch(`http://${server.url}/api/v1/topics/past:2/replay`, {
    method: 'POST',
    signal: gone.signal,
    body: JSON.stringify({ ...always, into: 'again:3', speed: 0.001 }),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
  });
  const first = await (response.body as ReadableStream<Uint8Array>).getReader().read();
  assert.deepEqual(JSON.parse(Buffer.from(first.value as Uint8Array).toString()), {
    published: 1,
    offset: 1,
  });
  gone.abort();
  const { json } = await call('topics/again:3/messages');
  assert.deepEqual(payloadsOf(json), [1]);
});

test('a replay that makes no sense is refused with the field, and is for administrators', async () => {
  for (const [body, field] of [
    [{ into: 'past:3' }, /into/],
    [{ into: 'inbox:ann' }, /into/],
    [{ into: 'x', from: 'yesterday' }, /from/],
    [{ into: 'x', to: 'tomorrow' }, /to/],
    [{ into: 'x', to: '2019-01-01' }, /behind/],
    [{ into: 'x', speed: 0 }, /speed/],
    [{ into: 'x', speed: 1001 }, /speed/],
  ] as const) {
    const { status, text } = await replay('past:3', { ...always, ...body });
    assert.equal(status, 400, text);
    assert.match(JSON.parse(text).error.message, field);
  }
  assert.equal((await replay('past:3', { ...always, into: 'x' }, tokenOf('ann'))).status, 403);
});
