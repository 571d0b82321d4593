/** Who is writing something: told, over by itself, never stored. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { everyWay, homedAt, succeed } from './people.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const connect = (user: string, claims: object = {}, encoding: 'json' | 'msgpack' = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user, claims), encoding });

const heard = (client: TestClient) => client.ofType('Typing').map(({ data }) => data);

for (const { encoding, home } of everyWay) {
  const way = `${encoding}, home on shard ${home}`;
  test(`in a topic: active, once for many repeats, and not any more (${way})`, async () => {
    for (const form of ['live:room', 'cache:room', 'room']) {
      const topic = homedAt(home, (index) => `${form}:${encoding}:${index}`);
      const [ann, bob, outside] = [
        await connect('ann'),
        await connect('bob', {}, encoding),
        await connect('eve'),
      ];
      for (const client of [ann, bob]) await succeed(client, 'Subscribe', { topic });
      const reply = await succeed(ann, 'Typing', { topic, active: true });
      assert.equal(reply.topic, topic);
      for (let repeat = 0; repeat < 5; repeat++) ann.send({ type: 'Typing', data: { topic, active: true } });
      await succeed(ann, 'Typing', { topic, active: false });
      await succeed(ann, 'Typing', { topic, active: false });
      await succeed(ann, 'Broadcast', { topic, payload: 'written' });
      await bob.waitFor(({ type }) => type === 'Broadcast');
      await bob.until(() => heard(bob).length >= 2);
      assert.deepEqual(heard(bob), [
        { topic, user: 'ann', active: true },
        { topic, user: 'ann', active: false },
      ]);
      await outside.request('Ping');
      assert.deepEqual(heard(outside), []);
      await Promise.all([ann, bob, outside].map((client) => client.close()));
    }
  });

  test(`in a conversation: for all devices of the other, and nobody else (${way})`, async () => {
    const name = homedAt(home, (index) => `talks-${encoding}-${index}`);
    const [ann, phone, laptop, eve] = [
      await connect('ann'),
      await connect(name, {}, encoding),
      await connect(name),
      await connect('eve', {}, encoding),
    ];
    assert.equal((await succeed(ann, 'Typing', { to: name, active: true })).to, name);
    for (let repeat = 0; repeat < 5; repeat++) ann.send({ type: 'Typing', data: { to: name, active: true } });
    await succeed(ann, 'Typing', { to: name, active: false });
    await succeed(ann, 'DirectMessage', { to: name, payload: 'written' });
    for (const device of [phone, laptop]) {
      await device.waitFor(({ type }) => type === 'DirectMessage');
      assert.deepEqual(heard(device), [
        { from: 'ann', user: 'ann', active: true },
        { from: 'ann', user: 'ann', active: false },
      ]);
    }
    await eve.request('Ping');
    assert.deepEqual([...heard(eve), ...heard(ann)], []);
    await Promise.all([ann, phone, laptop, eve].map((client) => client.close()));
  });
}

test('it ends by itself, in topics and conversations, in both encodings', async () => {
  const [ann, bob, carl] = [await connect('ann'), await connect('bob'), await connect('carl', {}, 'msgpack')];
  const topics = [0, 1].map((home) => homedAt(home, (index) => `live:ends:${index}`));
  for (const topic of topics) for (const client of [bob, carl]) await succeed(client, 'Subscribe', { topic });
  for (const topic of topics) await succeed(ann, 'Typing', { topic, active: true });
  for (const to of ['bob', 'carl']) await succeed(ann, 'Typing', { to, active: true });
  ann.socket.terminate(); // also for one who is gone
  for (const client of [bob, carl]) {
    await eventually('all have ended', () => heard(client).length === 6);
    const told = heard(client).map(({ topic, from, active }) => [topic ?? from, active]);
    for (const where of [...topics, 'ann']) {
      assert.deepEqual(
        told.filter(([about]) => about === where).map(([, active]) => active),
        [true, false],
      );
    }
  }
  await Promise.all([bob, carl].map((client) => client.close()));
});

test('it is never stored: no offset, not in History, not in what is replayed', async () => {
  const ann = await connect('ann');
  const bob = await connect('bob');
  for (const home of [0, 1]) {
    const topic = homedAt(home, (index) => `kept:${index}`);
    await succeed(bob, 'Subscribe', { topic });
    const first = await succeed(ann, 'Broadcast', { topic, payload: 1 });
    await succeed(ann, 'Typing', { topic, active: true });
    await bob.waitFor(({ type, data }) => type === 'Typing' && data.topic === topic);
    const second = await succeed(ann, 'Broadcast', { topic, payload: 2 });
    assert.deepEqual([first.offset, second.offset], [1, 2]);
    const { messages } = await succeed(bob, 'History', { topic });
    assert.deepEqual(
      messages.map(({ payload }: { payload: number }) => payload),
      [1, 2],
    );
    const late = await connect('late');
    const since = { offset: 0, epoch: first.epoch };
    assert.equal((await succeed(late, 'Subscribe', { topic, since })).recovered, true);
    await late.until(() => late.ofType('Broadcast').length === 2);
    await late.request('Ping');
    assert.deepEqual(heard(late), []);
    await late.close();
  }
  await succeed(ann, 'DirectMessage', { to: 'bob', payload: 'x' });
  await succeed(ann, 'Typing', { to: 'bob', active: true });
  await bob.waitFor(({ type, data }) => type === 'Typing' && data.from === 'ann');
  const { messages } = await succeed(bob, 'History', { with: 'ann' });
  assert.deepEqual(
    messages.map(({ payload }: { payload: string }) => payload),
    ['x'],
  );
  await Promise.all([ann, bob].map((client) => client.close()));
});

test('who may not write is not seen writing; one of topic and to is needed', async () => {
  const client = await connect('reader', {
    permissions: ['subscribe:*', 'publish:open:*', 'direct:friend-*'],
  });
  const listener = await connect('listener');
  for (const topic of ['open:typing', 'closed:typing']) await succeed(listener, 'Subscribe', { topic });
  for (const [data, code, says] of [
    [{ topic: 'closed:typing', active: true }, 'permission_denied', /publish:closed:typing/],
    [{ topic: 'inbox:listener', active: true }, 'permission_denied', /inbox:listener/],
    [{ topic: 'sys:all', active: true }, 'permission_denied', /sys:all/],
    [{ to: 'listener', active: true }, 'permission_denied', /direct:listener/],
    [{ active: true }, 'bad_request', /to.*topic|topic.*to/],
    [{ topic: 'open:typing', to: 'friend-1', active: true }, 'bad_request', /to.*topic|topic.*to/],
    [{ topic: 'open:typing' }, 'bad_request', /active/],
    [{ topic: 'open:typing', active: 'yes' }, 'bad_request', /active/],
    [{ topic: 'no spaces', active: true }, 'invalid_topic', /topic/],
  ] as const) {
    const refused = await client.request('Typing', data);
    assert.deepEqual([refused.type, refused.data.code], ['Error', code], JSON.stringify(data));
    assert.match(refused.data.message, says);
  }
  await succeed(client, 'Typing', { to: 'friend-1', active: true });
  await succeed(client, 'Typing', { topic: 'open:typing', active: true });
  await listener.waitFor(({ type }) => type === 'Typing');
  assert.deepEqual(heard(listener), [{ topic: 'open:typing', user: 'reader', active: true }]);
  await Promise.all([client, listener].map((one) => one.close()));
});

test('of very many at once not all are told, and those who are not are counted', async () => {
  const topic = homedAt(1, (index) => `live:everybody-writes:${index}`);
  const listener = await connect('listener');
  await succeed(listener, 'Subscribe', { topic });
  const before = await metricOf(server.url, 'messages_dropped_total{class="typing"}');
  const writers = await Promise.all(Array.from({ length: 70 }, (_, index) => connect(`writer-${index}`)));
  for (const writer of writers) await succeed(writer, 'Typing', { topic, active: true });
  const told = () => heard(listener).filter(({ active }) => active).length;
  const dropped = async () => (await metricOf(server.url, 'messages_dropped_total{class="typing"}')) - before;
  await eventually('each is told or counted', async () => told() + (await dropped()) >= writers.length);
  assert.ok(told() < writers.length);
  assert.equal(told() + (await dropped()), writers.length);
  await Promise.all([...writers, listener].map((one) => one.close()));
});
