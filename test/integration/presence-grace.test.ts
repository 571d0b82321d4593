/** A lost connection is not seen before the grace is over; a goodbye is seen at once; what is known of before is kept. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, testSecret, tokenOf } from '../kit/test-server.ts';
import { eventsOf, everyWay, homedAt, succeed } from './people.ts';

let server: TestServer;
before(async () => {
  // No session that was lost is over before the end: `lose` counts them.
  server = await startTestServer({ PRESENCE_GRACE: '2s', SESSION_TTL: '1h' });
});
after(() => server.stop());

type Encoding = 'json' | 'msgpack';
const connect = (user: string, encoding: Encoding = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user), encoding });

const names = (told: Envelope['data'][]) => told.map(({ event }) => event);

function leaves(watcher: TestClient, user: string): Promise<Envelope> {
  return watcher.waitFor(
    ({ type, data }) => type === 'Presence' && data.user === user && data.event === 'leave',
  );
}

/** Cuts the connection, and resolves when the server has noticed. */
async function lose(client: TestClient): Promise<void> {
  const lost = await metricOf(server.url, 'sessions_detached');
  client.socket.terminate();
  await eventually(
    'the loss is noticed',
    async () => (await metricOf(server.url, 'sessions_detached')) > lost,
  );
}

/** A watcher of users of that home, all of whom are there, and the last of whom tells when a grace is over. */
async function scene(home: number, encoding: Encoding, about: string) {
  const [name, marker] = ['who', 'marker'].map((role) =>
    homedAt(home, (index) => `${about}-${role}-${encoding}-${index}`),
  ) as [string, string];
  const [watcher, client, other] = await Promise.all([
    connect('watcher', encoding),
    connect(name),
    connect(marker, 'msgpack'),
  ]);
  const { users } = await succeed(watcher, 'PresenceSubscribe', { users: [name, marker] });
  assert.deepEqual(
    users.map(({ status }: Envelope['data']) => status),
    ['online', 'online'],
  );
  return { name, marker, watcher, client, other };
}

for (const { encoding, home } of everyWay) {
  const way = `${encoding}, home on shard ${home}`;
  test(`a reconnect inside the grace brings no event (${way})`, async () => {
    const { name, marker, watcher, client, other } = await scene(home, encoding, 'quick');
    await lose(client);
    const again = await connect(name);
    await lose(other); // its grace ends after that of the first
    const leave = await leaves(watcher, marker);
    assert.deepEqual([leave.data.status, leave.data.lastSeen > 0], ['offline', true]);
    assert.deepEqual(eventsOf(watcher, name), []);
    assert.deepEqual(names(eventsOf(watcher, marker)), ['leave'], 'one leave');
    await Promise.all([again, watcher].map((one) => one.close(1000)));
  });

  test(`a goodbye is told at once, a loss after the grace (${way})`, async () => {
    const { name, marker, watcher, client, other } = await scene(home, encoding, 'bye');
    await lose(other);
    client.socket.close(1000);
    await leaves(watcher, marker);
    assert.deepEqual(
      watcher.ofType('Presence').map(({ data }) => [data.user, data.event]),
      [
        [name, 'leave'],
        [marker, 'leave'],
      ],
    );
    await watcher.close(1000);
  });

  test(`who comes back in another way has changed, and did not leave and join (${way})`, async () => {
    const { name, marker, watcher, client, other } = await scene(home, encoding, 'other');
    await lose(client);
    const again = await connect(name);
    await succeed(again, 'Presence', { status: 'busy', device: { id: 'new' } });
    await lose(other);
    await leaves(watcher, marker);
    const told = eventsOf(watcher, name);
    assert.ok(told.length > 0 && told.every(({ event }) => event === 'change'), JSON.stringify(told));
    const { status, devices } = told.at(-1);
    assert.deepEqual([status, devices], ['busy', [{ id: 'new', status: 'busy' }]]);
    await Promise.all([again, watcher].map((one) => one.close(1000)));
  });
}

test('the same device, back inside the grace, is no news', async () => {
  const { name, marker, watcher, client, other } = await scene(1, 'json', 'device');
  const said = { type: 'Presence', data: { status: 'busy', device: { id: 'd', kind: 'mobile' } } };
  client.send(said);
  await watcher.until(() => eventsOf(watcher, name).length === 1);
  await lose(client);
  const startedMs = performance.now();
  const again = new TestClient({ url: server.url, token: tokenOf(name) });
  again.socket.on('open', () => again.send({ ...said, id: 'said' }));
  await again.waitFor(({ id }) => id === 'said');
  // Changes are gathered for a tenth of a second: who says it later than that was seen without it.
  const isAtOnce = performance.now() - startedMs < 80;
  await lose(other);
  await leaves(watcher, marker);
  const told = eventsOf(watcher, name);
  if (isAtOnce) assert.equal(told.length, 1);
  assert.ok(names(told).every((event) => event === 'change'));
  assert.deepEqual(told.at(-1).devices, told[0].devices);
  await Promise.all([again, watcher].map((one) => one.close(1000)));
});

test('of two devices one is lost: a change after the grace, and no leave', async () => {
  const { name, watcher, client, other } = await scene(0, 'msgpack', 'two');
  const second = await connect(name);
  await watcher.until(() => eventsOf(watcher, name).length === 1);
  await lose(client);
  await watcher.until(() => eventsOf(watcher, name).length === 2);
  const told = eventsOf(watcher, name);
  assert.deepEqual(
    told.map(({ event, status, devices }) => [event, status, devices.length]),
    [
      ['change', 'online', 2],
      ['change', 'online', 1],
    ],
  );
  await Promise.all([second, other, watcher].map((one) => one.close(1000)));
});

for (const home of [0, 1]) {
  test(`BUG: who asks inside the grace hears what those heard who watch (home on shard ${home})`, async () => {
    const slow = await startTestServer({ PRESENCE_GRACE: '1m' });
    try {
      const enter = (user: string) => TestClient.connect({ url: slow.url, token: tokenOf(user) });
      const name = homedAt(home, (index) => `back-${index}`);
      const [watcher, late, client] = [await enter('w1'), await enter('w2'), await enter(name)];
      await succeed(watcher, 'PresenceSubscribe', { users: [name] });
      const device = { id: 'phone', kind: 'mobile' };
      await succeed(client, 'Presence', { status: 'busy', device });
      await watcher.until(() => eventsOf(watcher, name).at(-1)?.status === 'busy');
      client.socket.terminate();
      await eventually(
        'the loss is noticed',
        async () => (await metricOf(slow.url, 'sessions_detached')) === 1,
      );
      const again = await enter(name);
      await succeed(again, 'Presence', { status: 'online', device });
      await watcher.until(() => eventsOf(watcher, name).at(-1)?.status === 'online');
      const { devices } = eventsOf(watcher, name).at(-1);
      assert.deepEqual(devices, [{ ...device, status: 'online' }]);
      const { users } = await succeed(late, 'PresenceSubscribe', { users: [name] });
      assert.deepEqual(users, [{ user: name, status: 'online', devices }]);
    } finally {
      await slow.stop();
    }
  });
}

const keepingSettings = () => ({
  ...{ DATA_DIR: mkdtempSync(join(tmpdir(), 'carillon-seen-')), JWT_SECRET: testSecret },
  ...{ PRESENCE_GRACE: '100ms', SESSION_TTL: '1s' },
});
const ofBothHomes = (roles: string[]) =>
  [0, 1].flatMap((home) => roles.map((role) => homedAt(home, (index) => `seen-${role}-${home}-${index}`)));

/** All of them with a device; they are there now. */
async function enterAll(url: string, users: string[]): Promise<TestClient[]> {
  return Promise.all(
    users.map(async (user) => {
      const client = await TestClient.connect({ url, token: tokenOf(user) });
      await succeed(client, 'Presence', { status: 'online', device: { id: `of-${user}`, kind: 'desktop' } });
      return client;
    }),
  );
}

async function ask(url: string, users: string[]): Promise<Envelope['data'][]> {
  const client = await TestClient.connect({ url, token: tokenOf('asker') });
  const reply = await succeed(client, 'PresenceQuery', { users });
  client.socket.close(1000);
  return reply.users;
}

test('when somebody was last seen is known when their actor is gone, and after a restart', async () => {
  const settings = keepingSettings();
  const everybody = ofBothHomes(['lost', 'gone']);
  const startedMs = Date.now();
  const first = await startTestServer(settings);
  let before: Envelope['data'][];
  try {
    for (const [index, client] of (await enterAll(first.url, everybody)).entries()) {
      if (index % 2 === 0) client.socket.terminate();
      else client.socket.close(1000);
    }
    before = (await eventually('they are offline, and known', async () => {
      const users = await ask(first.url, everybody);
      const isGone = (await metricOf(first.url, 'sessions_detached')) === 0;
      return isGone && users.every(({ status, lastSeen }) => status === 'offline' && lastSeen > 0) && users;
    })) as Envelope['data'][];
    for (const { user, lastSeen, devices } of before) {
      assert.ok(lastSeen >= startedMs && lastSeen <= Date.now(), `${user} was last seen ${lastSeen}`);
      assert.deepEqual(devices, [{ id: `of-${user}`, kind: 'desktop', status: 'offline', lastSeen }]);
    }
  } finally {
    await first.stop();
  }
  const second = await startTestServer(settings);
  try {
    assert.deepEqual(await ask(second.url, everybody), before);
  } finally {
    await second.stop();
  }
});

test('whoever was there when the server was drained was last seen then', async () => {
  const settings = keepingSettings();
  const everybody = ofBothHomes(['a', 'b', 'c', 'd']);
  const startedMs = Date.now();
  const first = await startTestServer(settings);
  await enterAll(first.url, everybody);
  await first.drain();
  const second = await startTestServer(settings);
  try {
    const users = await ask(second.url, everybody);
    const unseen = users.filter(({ lastSeen }) => !(lastSeen >= startedMs && lastSeen <= Date.now()));
    assert.deepEqual(unseen, []);
    for (const { user, status, devices } of users)
      assert.deepEqual([status, devices.map(({ id }: { id: string }) => id)], ['offline', [`of-${user}`]]);
  } finally {
    await second.stop();
  }
});

test('when somebody was last seen is known straight after their goodbye', async () => {
  const asker = await connect('asker');
  const name = homedAt(0, (index) => `just-now-${index}`);
  const client = await connect(name);
  await succeed(client, 'Presence', { status: 'online', device: { id: 'd' } });
  client.socket.close(1000);
  const offline = await eventually('the user is offline', async () => {
    const { users } = await succeed(asker, 'PresenceQuery', { users: [name] });
    return users[0].status === 'offline' && users[0];
  });
  assert.ok(offline.lastSeen > 0, JSON.stringify(offline));
  assert.equal(offline.devices.length, 1);
  await asker.close(1000);
});
