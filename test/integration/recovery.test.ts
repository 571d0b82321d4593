/** Coming back after an absence: what was missed is delivered once, in order, before anything live. Real threads and sockets. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientsOnShards, type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const connect = (user: string, encoding: 'json' | 'msgpack' = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user), encoding });

async function ok(reply: Promise<Envelope>): Promise<Envelope['data']> {
  const { type, data } = await reply;
  assert.equal(type, 'Status', JSON.stringify(data));
  return data;
}

async function publish(
  client: TestClient,
  topic: string,
  count: number,
  from = 1,
): Promise<Envelope['data'][]> {
  const numbers = Array.from({ length: count }, (_, index) => from + index);
  return Promise.all(numbers.map((payload) => ok(client.request('Broadcast', { topic, payload }))));
}

const offsetsOf = (client: TestClient, topic: string) =>
  client.received
    .filter(({ type, data }) => ['Broadcast', 'Edited', 'Deleted'].includes(type) && data.topic === topic)
    .map(({ data }) => data.offset as number);

const upTo = (last: number, first = 1) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

for (const encoding of ['json', 'msgpack'] as const) {
  test(`[REC1] what was missed follows the reply, marked, in order and before anything live, in ${encoding}`, async () => {
    const writer = await connect('ann');
    for (const topic of [1, 2, 3, 4].map((number) => `missed:${encoding}:${number}`)) {
      const acks = await publish(writer, topic, 5);
      const { epoch } = acks[0];
      const reader = await connect('ben', encoding);
      const reply = await ok(reader.request('Subscribe', { topic, since: { offset: 2, epoch } }));
      assert.deepEqual(
        [reply.class, reply.offset, reply.epoch, reply.recovered],
        ['durable', 5, epoch, true],
      );
      await publish(writer, topic, 2, 6);
      await reader.until(() => offsetsOf(reader, topic).length === 5);
      assert.deepEqual(offsetsOf(reader, topic), [3, 4, 5, 6, 7]);
      const marks = reader.ofType('Broadcast').map(({ data }) => data.replay);
      assert.deepEqual(marks, [true, true, true, undefined, undefined]);
      await reader.close();
    }
    await writer.close();
  });
}

test('[REC1] under a stream of publications nothing is missed or doubled, whatever moment one comes back', async () => {
  const [one, two] = (await clientsOnShards({ url: server.url, token: tokenOf('ann') }, [0, 1])) as [
    TestClient,
    TestClient,
  ];
  const topic = 'stream:busy';
  const { epoch } = (await publish(one, topic, 1))[0];
  let isOver = false;
  const stream = (async () => {
    for (let next = 2; !isOver; next += 20) await publish(two, topic, 20, next);
  })();
  for (let round = 0; round < 25; round++) {
    const reader = await connect(`reader-${round}`);
    const since = round % 5 === 0 ? 0 : 1;
    await ok(reader.request('Subscribe', { topic, since: { offset: since, epoch } }));
    await reader.until(() => offsetsOf(reader, topic).length > 60);
    const seen = offsetsOf(reader, topic);
    assert.deepEqual(seen, upTo(seen.length + since, since + 1));
    await reader.close();
  }
  isOver = true;
  await stream;
  await Promise.all([one.close(), two.close()]);
});

test('[REC3] a long absence comes page by page from the store, complete, and ends live', async () => {
  const writer = await connect('ann');
  const topic = 'long:absence';
  for (let from = 1; from <= 1500; from += 100) await publish(writer, topic, 100, from);
  const { epoch } = (await publish(writer, topic, 1, 1501))[0];
  const reader = await connect('ben');
  const reply = await ok(reader.request('Subscribe', { topic, since: { offset: 0, epoch } }));
  assert.equal(reply.recovered, true);
  await reader.until(() => offsetsOf(reader, topic).length >= 1501);
  await publish(writer, topic, 1, 1502);
  await reader.until(() => offsetsOf(reader, topic).length >= 1502);
  assert.deepEqual(offsetsOf(reader, topic), upTo(1502));
  await Promise.all([writer.close(), reader.close()]);
});

test('[REC1] a filter holds for what was missed, too', async () => {
  const writer = await connect('ann');
  const topic = 'filtered:missed';
  for (let payload = 1; payload <= 400; payload++) {
    writer.send({
      type: 'Broadcast',
      data: { topic, payload, event: payload % 3 === 0 ? 'deploy' : 'other' },
    });
  }
  const { epoch, offset } = (await publish(writer, topic, 1, 401))[0];
  const reader = await connect('ben');
  const filter = { event: 'deploy' };
  await ok(reader.request('Subscribe', { topic, filter, since: { offset: 0, epoch } }));
  await ok(writer.request('Broadcast', { topic, payload: 'last', event: 'deploy' }));
  await reader.until(() => offsetsOf(reader, topic).includes(offset + 1));
  const expected = upTo(400).filter((number) => number % 3 === 0);
  assert.deepEqual(offsetsOf(reader, topic), [...expected, 402]);
  await Promise.all([writer.close(), reader.close()]);
});

test('a position that is out of reach is told, and nothing is replayed', async () => {
  const writer = await connect('ann');
  for (const position of [{ offset: 1, epoch: 'another' }, { offset: 99 }]) {
    const topic = `out:of-reach:${position.offset}`;
    const { epoch } = (await publish(writer, topic, 3)).at(-1);
    const reader = await connect('ben');
    const reply = await ok(reader.request('Subscribe', { topic, since: { epoch, ...position } }));
    assert.deepEqual([reply.recovered, reply.offset], [false, 3]);
    await publish(writer, topic, 1, 4);
    await reader.until(() => offsetsOf(reader, topic).length > 0);
    assert.deepEqual(offsetsOf(reader, topic), [4]);
    await reader.close();
  }
  await writer.close();
});

test('a cached topic recovers within its window, without a store, and says when it cannot', async () => {
  const writer = await connect('ann');
  const topic = 'cache:prices';
  const first = await ok(writer.request('Broadcast', { topic, payload: 1 }));
  await publish(writer, topic, 320, 2);
  const near = await connect('ben');
  const reply = await ok(near.request('Subscribe', { topic, since: { offset: 100, epoch: first.epoch } }));
  assert.deepEqual([reply.class, reply.recovered, reply.offset], ['cached', true, 321]);
  await near.until(() => offsetsOf(near, topic).length === 221);
  assert.deepEqual(offsetsOf(near, topic), upTo(321, 101));
  const far = await connect('cid');
  const late = await ok(far.request('Subscribe', { topic, since: { offset: 5, epoch: first.epoch } }));
  assert.equal(late.recovered, false);
  assert.deepEqual(offsetsOf(far, topic), []);
  await Promise.all([writer.close(), near.close(), far.close()]);
});

test('[REC2] a store thread that dies in the middle leaves no hole in what subscribers get', async () => {
  const [one, two] = (await clientsOnShards({ url: server.url, token: tokenOf('ann') }, [0, 1])) as [
    TestClient,
    TestClient,
  ];
  const topic = 'store:dies';
  await ok(two.request('Subscribe', { topic }));
  const acked: number[] = [];
  for (let round = 0; round < 3; round++) {
    const sent = Array.from({ length: 50 }, (_, index) => {
      const key = `${round}-${index}`;
      return (async () => {
        for (;;) {
          const { type, data } = await one.request('Broadcast', { topic, payload: key, key });
          if (type === 'Status') return acked.push(data.offset as number);
          assert.equal(data.code, 'store_unavailable');
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      })();
    });
    server.failpoint(0xffff, 'store.exit');
    await Promise.all(sent);
  }
  assert.deepEqual(
    acked.toSorted((a, b) => a - b),
    upTo(150),
  );
  await two.until(() => offsetsOf(two, topic).length >= 150);
  assert.deepEqual(offsetsOf(two, topic), upTo(150));
  await Promise.all([one.close(), two.close()]);
});

test('a client hears when the store is away, and when it is back', async () => {
  const client = await connect('ann');
  server.failpoint(0xffff, 'store.exit');
  await client.waitFor(({ type, data }) => type === 'System' && data.event === 'restored');
  const events = client.ofType('System').map(({ data }) => [data.event, data.dependency]);
  assert.deepEqual(events, [
    ['degraded', 'store'],
    ['restored', 'store'],
  ]);
  await client.close();
});
