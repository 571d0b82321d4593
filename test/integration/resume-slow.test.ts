/** [RES2] Clients that were too slow or silent, and sessions with more missed than an outbox holds: all of it comes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import {
  bye,
  clientOn,
  entriesOf,
  homedAt,
  lose,
  offsetsOf,
  ok,
  positionsOf,
  publish,
  resume,
  upTo,
} from '../kit/resuming.ts';
import type { TestClient } from '../kit/test-client.ts';
import { startTestServer } from '../kit/test-server.ts';

const large = 'x'.repeat(30_000);

/** Nothing between the two is missing; with positions nothing comes twice. */
async function goesOn(
  old: TestClient,
  next: TestClient,
  topic: string,
  { last, isOnce }: { last: number; isOnce: boolean },
): Promise<void> {
  await next.until(() => offsetsOf(next, topic).includes(last));
  const had = offsetsOf(old, topic);
  const [first] = offsetsOf(next, topic);
  assert.deepEqual(had, upTo(had.length), `${topic}: what the old one got`);
  assert.ok(
    first! <= had.length + 1,
    `${topic}: the old one had ${had.length}, the new one begins with ${first}`,
  );
  if (isOnce) assert.equal(first, had.length + 1, `${topic} comes twice`);
  assert.deepEqual(offsetsOf(next, topic), upTo(last, first), topic);
  const marks = entriesOf(next, topic).map(({ replay }) => replay === true);
  const firstLive = marks.indexOf(false);
  assert.ok(firstLive < 0 || !marks.includes(true, firstLive), `${topic}: replay goes before live`);
}

for (const home of [0, 1]) {
  for (const isOnce of [true, false]) {
    test(`a slow consumer (4002) loses nothing, home ${home}, positions ${isOnce}`, async (t) => {
      const server = await startTestServer({ OUTBOX_BYTES: '256kb' });
      t.after(() => server.stop());
      const user = homedAt(home, (index) => `slow-${index}`);
      const inbox = `inbox:${user}`;
      const topics = [0, 1].map((shard) => homedAt(shard, (index) => `room:slow:${index}`));
      const slow = await clientOn(server.url, 0, user);
      const sender = await clientOn(server.url, 1, 'sender');
      for (const topic of topics) await ok(slow.request('Subscribe', { topic }));
      slow.socket.pause();
      let last = 0;
      await eventually('it is closed as slow', async () => {
        for (let count = 0; count < 10; count++, last++) {
          for (const topic of topics) await ok(sender.request('Broadcast', { topic, payload: large }));
          await ok(sender.request('DirectMessage', { to: user, payload: large }));
        }
        return (await metricOf(server.url, 'slow_consumers_total')) === 1;
      });
      slow.socket.resume();
      assert.ok([4002, 1006].includes(await slow.closeCode()));
      const next = await clientOn(server.url, 1, user);
      await ok(resume(next, slow, isOnce ? positionsOf(slow) : undefined));
      for (const topic of [...topics, inbox]) await publish(sender, topic, 2);
      for (const topic of [...topics, inbox]) await goesOn(slow, next, topic, { last: last + 2, isOnce });
      await bye(next, sender);
    });

    test(`a silent connection (4003) loses nothing, home ${home}, positions ${isOnce}`, async (t) => {
      const server = await startTestServer({ HEARTBEAT_INTERVAL: '200ms', CLIENT_TIMEOUT: '5s' });
      t.after(() => server.stop());
      const user = homedAt(home, (index) => `silent-${index}`);
      const topics = [0, 1].flatMap((shard) => [
        homedAt(shard, (index) => `room:silent:${index}`),
        homedAt(shard, (index) => `cache:silent:${index}`),
      ]);
      topics.push(`inbox:${user}`);
      const silent = await clientOn(server.url, 0, user);
      const sender = await clientOn(server.url, 1, 'sender');
      for (const topic of topics.slice(0, -1)) await ok(silent.request('Subscribe', { topic }));
      for (const topic of topics) await publish(sender, topic, 10);
      await silent.until(() => topics.every((topic) => offsetsOf(silent, topic).length === 10));
      silent.socket.pause();
      for (const topic of topics) await publish(sender, topic, 20);
      const closes = 'websocket_closes_total{code="4003"}';
      await eventually('it is given up', async () => (await metricOf(server.url, closes)) === 1);
      silent.socket.terminate();
      for (const topic of topics) await publish(sender, topic, 20);
      const next = await clientOn(server.url, 1, user);
      await ok(resume(next, silent, isOnce ? positionsOf(silent) : undefined));
      for (const topic of topics) await goesOn(silent, next, topic, { last: 50, isOnce });
      await bye(next, sender);
    });
  }
}

test('a pong that answers no ping, or an older one, does not say that the client has what was sent since', async (t) => {
  const server = await startTestServer({ HEARTBEAT_INTERVAL: '200ms', CLIENT_TIMEOUT: '5s' });
  t.after(() => server.stop());
  const topic = 'room:pong';
  const deaf = await clientOn(server.url, 0, 'deaf');
  const sender = await clientOn(server.url, 1, 'sender');
  await ok(deaf.request('Subscribe', { topic }));
  deaf.socket.pause();
  await publish(sender, topic, 10);
  // RFC 6455, 5.5.3: unsolicited pongs are a one-way heartbeat. Pings go out meanwhile, which it has not read.
  for (let count = 0; count < 20; count++) {
    deaf.socket.pong();
    await sleep(50);
  }
  const next = await clientOn(server.url, 1, 'deaf');
  await ok(resume(next, deaf));
  deaf.socket.terminate();
  await publish(sender, topic, 1);
  await goesOn(deaf, next, topic, { last: 11, isOnce: true });
  await bye(next, sender);
});

for (const encoding of ['json', 'msgpack'] as const) {
  test(`forty topics with ten kilobytes missed of each pass an outbox of 128 kilobytes, in ${encoding}`, async (t) => {
    const server = await startTestServer({ OUTBOX_BYTES: '128kb' });
    t.after(() => server.stop());
    const topics = Array.from(
      { length: 40 },
      (_, index) => `${index % 4 === 0 ? 'cache' : 'room'}:wide:${index}`,
    );
    const sender = await clientOn(server.url, 1, 'sender');
    await missedAndGot(server.url, { topics, sender, encoding, sizes: [2_000, 2_000, 2_000, 2_000, 2_000] });
    await bye(sender);
    assert.equal(await metricOf(server.url, 'slow_consumers_total'), 0);
  });
}

test('ten topics with two hundred kilobytes missed of each pass an outbox of 128 kilobytes', async (t) => {
  const server = await startTestServer({ OUTBOX_BYTES: '128kb' });
  t.after(() => server.stop());
  const topics = Array.from({ length: 10 }, (_, index) => `room:deep:${index}`);
  const sender = await clientOn(server.url, 1, 'sender');
  const sizes = Array.from({ length: 100 }, () => 2_000);
  await missedAndGot(server.url, { topics, sender, encoding: 'json', sizes });
  await bye(sender);
  assert.equal(await metricOf(server.url, 'slow_consumers_total'), 0);
});

async function missedAndGot(
  url: string,
  missed: { topics: string[]; sender: TestClient; encoding: 'json' | 'msgpack'; sizes: number[] },
): Promise<void> {
  const { topics, sender, encoding, sizes } = missed;
  const first = 2;
  for (const topic of topics) await publish(sender, topic, 1);
  const lost = await clientOn(url, 0, 'wide', { encoding });
  for (const topic of topics) await ok(lost.request('Subscribe', { topic }));
  await lose(url, lost);
  for (const topic of topics)
    for (const size of sizes) await ok(sender.request('Broadcast', { topic, payload: 'y'.repeat(size) }));
  const next = await clientOn(url, 1, 'wide', { encoding });
  const reply = await ok(resume(next, lost));
  assert.equal(reply.topics.length, topics.length + 1);
  for (const topic of topics) await publish(sender, topic, 1);
  const last = first + sizes.length;
  for (const topic of topics) {
    await next.until(() => offsetsOf(next, topic).includes(last));
    assert.deepEqual(offsetsOf(next, topic), upTo(last, first), topic);
    assert.deepEqual(
      entriesOf(next, topic).map(({ replay }) => replay === true),
      [...sizes.map(() => true), false],
    );
  }
  assert.equal(next.closed, undefined);
  await bye(next);
}

test('a session that is lost in the midst of being resumed keeps all of its subscriptions', async (t) => {
  const server = await startTestServer();
  t.after(() => server.stop());
  const topics = Array.from({ length: 100 }, (_, index) => `room:half:${index}`);
  const sender = await clientOn(server.url, 1, 'sender');
  for (const topic of topics) await publish(sender, topic, 1);
  for (const [round, name] of (['latest', 'former'] as const).entries()) {
    const lost = await clientOn(server.url, 0, name);
    for (const topic of topics) await ok(lost.request('Subscribe', { topic }));
    const positions = positionsOf(lost);
    await lose(server.url, lost);
    const half = await clientOn(server.url, 1, name);
    half.socket.on('message', () => {}); // it reads
    void resume(half, lost).catch(() => {});
    await new Promise<void>((resolve) => half.socket.ping('', true, () => resolve()));
    half.socket.terminate();
    const losses = 'websocket_closes_total{code="1006"}';
    await eventually('both are lost', async () => (await metricOf(server.url, losses)) === 2 * (round + 1));
    const next = await clientOn(server.url, 0, name);
    const reply = await ok(resume(next, name === 'latest' ? half : lost, positions));
    assert.equal(reply.topics.length, topics.length + 1, `by the ${name} name`);
    await bye(next);
  }
  await bye(sender);
});

test('an inbox whose replay was cut off goes on where it was, not where it ends', async (t) => {
  const server = await startTestServer();
  t.after(() => server.stop());
  for (const home of [0, 1]) {
    const user = homedAt(home, (index) => `heavy-${index}`);
    const sender = await clientOn(server.url, 0, 'sender', { claims: { roles: ['admin'] } });
    const lost = await clientOn(server.url, 0, user);
    await lose(server.url, lost);
    const count = 300;
    for (let index = 0; index < count; index++)
      await ok(sender.request('DirectMessage', { to: user, payload: large + large }));
    const cut = await clientOn(server.url, 1, user);
    cut.send({ type: 'Resume', id: 'r', data: resumeData(lost) });
    await cut.waitFor(({ id }) => id === 'r');
    cut.socket.pause();
    await eventually('some of it waits', async () => (await metricOf(server.url, 'outbox_bytes')) > 200_000);
    await lose(server.url, cut);
    const next = await clientOn(server.url, 0, user);
    await ok(resume(next, cut));
    // More than any socket takes: the last one was not sent.
    await next.until(() => offsetsOf(next, `inbox:${user}`).includes(count));
    await bye(next, sender);
  }
});

function resumeData(client: TestClient): object {
  const { sessionId, resumeToken } = client.received.find(({ data }) => data.op === 'Connect')!.data;
  return { sessionId, resumeToken };
}

test('three hundred kilobytes that were missed come with the default outbox', async (t) => {
  const server = await startTestServer();
  t.after(() => server.stop());
  const topic = 'room:much';
  const sender = await clientOn(server.url, 1, 'sender');
  const lost = await clientOn(server.url, 0, 'much');
  await ok(lost.request('Subscribe', { topic }));
  await lose(server.url, lost);
  for (let index = 0; index < 10; index++) await ok(sender.request('Broadcast', { topic, payload: large }));
  for (let index = 0; index < 10; index++)
    await ok(sender.request('DirectMessage', { to: 'much', payload: large }));
  const next = await clientOn(server.url, 1, 'much');
  await ok(resume(next, lost));
  for (const name of [topic, 'inbox:much']) {
    await next.until(() => offsetsOf(next, name).length >= 10);
    assert.deepEqual(offsetsOf(next, name), upTo(10));
  }
  await bye(next, sender);
});
