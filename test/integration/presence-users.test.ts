/** How users are, over all their devices, for those who may know: over real sockets, from homes on both shards. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { clientsOnShards, type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { eventsOf, everyWay, homedAt, succeed } from './people.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const connect = (user: string, claims: object = {}, encoding: 'json' | 'msgpack' = 'json') =>
  TestClient.connect({ url: server.url, token: tokenOf(user, claims), encoding });

const wayOf = ({ encoding, home }: (typeof everyWay)[number]) => `${encoding}, home on shard ${home}`;

/** The newest change of a user that says so. */
function heard(client: TestClient, user: string, fits: (data: Envelope['data']) => boolean) {
  return client.waitFor(
    ({ type, data }) => type === 'Presence' && data.topic === undefined && data.user === user && fits(data),
  );
}

for (const way of everyWay) {
  const { encoding, home } = way;
  test(`a user comes, is busy, is online on one of two devices, and goes (${wayOf(way)})`, async () => {
    const name = homedAt(home, (index) => `busy-${encoding}-${index}`);
    const watcher = await connect('watcher', {}, encoding);
    const { users } = await succeed(watcher, 'PresenceSubscribe', { users: [name] });
    assert.deepEqual(users, [{ user: name, status: 'offline', devices: [] }]);
    const phone = await connect(name, {}, encoding === 'json' ? 'msgpack' : 'json');
    const join = await heard(watcher, name, ({ event }) => event === 'join');
    assert.deepEqual([join.data.status, join.data.lastSeen], ['online', undefined]);

    const device = { id: 'phone', kind: 'mobile', platform: 'ios' };
    const reply = await succeed(phone, 'Presence', { status: 'busy', device, meta: { mood: 'focus' } });
    assert.equal(reply.status, 'busy');
    const busy = await heard(watcher, name, ({ status }) => status === 'busy');
    assert.equal(busy.data.event, 'change');
    assert.deepEqual(busy.data.devices, [{ ...device, status: 'busy' }]);
    assert.deepEqual(busy.data.meta, { mood: 'focus' });

    const laptop = await connect(name);
    await succeed(laptop, 'Presence', { status: 'away', device: { id: 'laptop' } });
    const both = await heard(watcher, name, ({ devices }) =>
      devices.some(({ id }: { id: string }) => id === 'laptop'),
    );
    assert.equal(both.data.status, 'busy', 'busy on one is busy on all');
    await succeed(phone, 'Presence', { status: 'online' });
    const online = await heard(
      watcher,
      name,
      ({ event, status }) => event === 'change' && status === 'online',
    );
    assert.deepEqual(online.data.devices.map((entry: Envelope['data']) => entry.status).toSorted(), [
      'away',
      'online',
    ]);
    await succeed(phone, 'Presence', { status: 'away' });
    await heard(watcher, name, ({ status }) => status === 'away');
    phone.socket.close(1000);
    laptop.socket.close(1000);
    const leave = await heard(watcher, name, ({ event }) => event === 'leave');
    assert.equal(leave.data.status, 'offline');
    assert.ok(leave.data.lastSeen > 0);
    const told = eventsOf(watcher, name).map(({ event }) => event);
    assert.deepEqual([told.indexOf('join'), told.indexOf('leave')], [0, told.length - 1]);
    assert.equal(told.filter((event) => event !== 'change').length, 2, 'it came once and left once');
    await watcher.close();
  });

  test(`who is invisible on one device is offline for others (${wayOf(way)})`, async () => {
    const name = homedAt(home, (index) => `ghost-${encoding}-${index}`);
    const watcher = await connect('watcher', {}, encoding);
    const [one, two] = [await connect(name), await connect(name)];
    await succeed(watcher, 'PresenceSubscribe', { users: [name] });
    await succeed(one, 'Presence', { status: 'invisible', device: { id: 'secret' }, meta: { at: 'home' } });
    const leave = await heard(watcher, name, ({ event }) => event === 'leave');
    assert.deepEqual([leave.data.status, leave.data.devices, leave.data.meta], ['offline', [], undefined]);
    const asked = await succeed(watcher, 'PresenceQuery', { users: [name] });
    assert.deepEqual(asked.users, [{ user: name, status: 'offline', devices: [] }]);
    one.socket.close(1000);
    const join = await heard(watcher, name, ({ event }) => event === 'join');
    assert.equal(join.data.status, 'online');
    assert.doesNotMatch(JSON.stringify(join.data), /secret|home/, 'nobody saw that device');
    await Promise.all([two, watcher].map((client) => client.close()));
  });

  test(`after PresenceUnsubscribe nothing comes any more, of others it does (${wayOf(way)})`, async () => {
    const form = (name: string) => homedAt(home, (index) => `${name}-${encoding}-${index}`);
    const [name, marker] = [form('left'), form('marker')];
    const watcher = await connect('watcher', {}, encoding);
    const [left, other] = [await connect(name), await connect(marker)];
    await succeed(watcher, 'PresenceSubscribe', { users: [name, marker] });
    assert.deepEqual((await succeed(watcher, 'PresenceUnsubscribe', { users: [name, 'nobody'] })).users, []);
    await succeed(left, 'Presence', { status: 'busy' });
    await succeed(other, 'Presence', { status: 'busy' });
    await heard(watcher, marker, ({ status }) => status === 'busy');
    assert.deepEqual(eventsOf(watcher, name), []);
    const { users } = await succeed(watcher, 'PresenceSubscribe', { users: [name] });
    assert.equal(users[0].status, 'busy');
    await Promise.all([left, other, watcher].map((client) => client.close()));
  });
}

test('a query answers in the order asked, of both homes, online or not', async () => {
  const names = [0, 1, 0, 1].map((home, at) => homedAt(home, (index) => `asked-${at}-${index}`));
  const here = [await connect(names[0] as string), await connect(names[3] as string, {}, 'msgpack')];
  const { users } = await succeed(here[1] as TestClient, 'PresenceQuery', { users: names });
  assert.deepEqual(
    users.map(({ user, status }: Envelope['data']) => [user, status]),
    names.map((name, at) => [name, at === 0 || at === 3 ? 'online' : 'offline']),
  );
  await Promise.all(here.map((client) => client.close()));
});

for (const home of [0, 1]) {
  test(`ten devices of before are remembered, the youngest first (home on shard ${home})`, async () => {
    const name = homedAt(home, (index) => `many-devices-${index}`);
    const startedMs = Date.now();
    const watcher = await connect('watcher');
    await succeed(watcher, 'PresenceSubscribe', { users: [name] });
    for (let number = 1; number <= 12; number++) {
      const client = await connect(name);
      const device = { id: `d${number}`, kind: 'mobile', platform: 'android' };
      await succeed(client, 'Presence', { status: 'online', device });
      // One who is gone before others were told of it is not told of.
      await heard(watcher, name, ({ devices }) => devices[0].id === `d${number}` && !devices[0].lastSeen);
      client.socket.close(1000);
      await heard(watcher, name, ({ event, devices }) => event === 'leave' && devices[0].id === `d${number}`);
    }
    const { users } = await succeed(watcher, 'PresenceQuery', { users: [name] });
    const { devices, lastSeen } = users[0];
    assert.deepEqual(
      devices.map(({ id }: Envelope['data']) => id),
      Array.from({ length: 10 }, (_, index) => `d${12 - index}`),
    );
    for (const device of devices) {
      assert.deepEqual([device.kind, device.platform, device.status], ['mobile', 'android', 'offline']);
      assert.ok(device.lastSeen >= startedMs - 1000 && device.lastSeen <= Date.now() + 1000);
    }
    assert.equal(lastSeen, devices[0].lastSeen);
    await watcher.close();
  });
}

test('meta has at most 1,024 bytes as JSON', async () => {
  for (const encoding of ['json', 'msgpack'] as const) {
    const client = await connect('meta', {}, encoding);
    const ofBytes = (bytes: number) => ({ text: 'ä'.repeat((bytes - 12) / 2) }); // {"text":""} is 11
    const full = { ...ofBytes(1024), x: undefined };
    assert.ok(Buffer.byteLength(JSON.stringify(full)) <= 1024);
    await succeed(client, 'Presence', { status: 'online', meta: JSON.parse(JSON.stringify(full)) });
    const refused = await client.request('Presence', { status: 'busy', meta: ofBytes(1028) });
    assert.equal(refused.type, 'Error');
    assert.match(refused.data.message, /meta.*1024/);
    const { users } = await succeed(client, 'PresenceQuery', { users: ['meta'] });
    assert.equal(users[0].status, 'online', 'what was refused changed nothing');
    await client.close();
  }
});

test('unknown fields of a device are not told to others, nor do they go round the limit of meta', async () => {
  const name = homedAt(1, (index) => `baggage-${index}`);
  const client = await connect(name);
  const watcher = await connect('watcher');
  const device = { id: 'd', kind: 'mobile', baggage: 'x'.repeat(50_000) };
  await client.request('Presence', { status: 'busy', device });
  const { users } = await succeed(watcher, 'PresenceQuery', { users: [name] });
  assert.ok(JSON.stringify(users).length < 2000, `a presence of ${JSON.stringify(users).length} bytes`);
  await Promise.all([client, watcher].map((one) => one.close()));
});

test('the users of one connection are limited, and the error names the limit', async () => {
  const small = await startTestServer({ MAX_WATCHED_USERS: '3' });
  try {
    const client = await TestClient.connect({ url: small.url, token: tokenOf('curious') });
    await succeed(client, 'PresenceSubscribe', { users: ['a', 'b'] });
    const refused = await client.request('PresenceSubscribe', { users: ['b', 'c', 'd'] });
    assert.equal(refused.data.code, 'limit_exceeded');
    assert.match(refused.data.message, /3 users.*MAX_WATCHED_USERS/);
    await succeed(client, 'PresenceSubscribe', { users: ['a', 'b', 'c', 'c'] });
    await succeed(client, 'PresenceUnsubscribe', { users: ['a'] });
    await succeed(client, 'PresenceSubscribe', { users: ['d'] });
    assert.equal((await client.request('PresenceSubscribe', { users: ['a'] })).data.code, 'limit_exceeded');
  } finally {
    await small.stop();
  }
});

test('what makes no sense is a bad request that names the field', async () => {
  const client = await connect('curious');
  const tooMany = Array.from({ length: 201 }, (_, index) => `u${index}`);
  for (const [type, data, field] of [
    ['PresenceSubscribe', { users: tooMany }, /users/],
    ['PresenceUnsubscribe', { users: tooMany }, /users/],
    ['PresenceQuery', { users: tooMany }, /users/],
    ['PresenceSubscribe', { users: [] }, /users/],
    ['PresenceSubscribe', { users: ['no spaces'] }, /users/],
    ['PresenceSubscribe', {}, /users/],
    ['PresenceQuery', {}, /users.*topic/],
    ['PresenceQuery', { users: ['a'], topic: 'b' }, /users.*topic/],
    ['PresenceQuery', { topic: 't', limit: 201 }, /limit/],
    ['Presence', { status: 'asleep' }, /status/],
    ['Presence', {}, /status/],
    ['Presence', { status: 'busy', device: { id: 7 } }, /device/],
    ['Presence', { status: 'busy', device: { kind: 'x'.repeat(65) } }, /device/],
    ['Presence', { status: 'busy', meta: 'text' }, /meta/],
  ] as const) {
    const refused = await client.request(type, data);
    assert.deepEqual([refused.type, refused.data.code], ['Error', 'bad_request'], `${type} ${field}`);
    assert.match(refused.data.message, field);
  }
  await client.close();
});

test('a token says whom one may see; oneself always; another tenant is another world', async () => {
  const shy = await connect('shy', { permissions: ['presence:friend-*'] });
  const foreign = await connect('friend-1', { tenant: 'other' });
  for (const type of ['PresenceSubscribe', 'PresenceQuery']) {
    const refused = await shy.request(type, { users: ['friend-1', 'stranger'] });
    assert.equal(refused.data.code, 'permission_denied');
    assert.match(refused.data.message, /presence:stranger/);
    const { users } = await succeed(shy, type, { users: ['friend-1', 'shy'] });
    assert.deepEqual(
      users.map(({ status }: Envelope['data']) => status),
      ['offline', 'online'],
    );
  }
  assert.equal((await shy.request('PresenceQuery', { topic: 'chat:1' })).data.code, 'permission_denied');
  const none = await connect('none', { permissions: ['subscribe:*'] });
  assert.equal((await none.request('PresenceSubscribe', { users: ['shy'] })).data.code, 'permission_denied');
  await succeed(none, 'PresenceSubscribe', { users: ['none'] });
  await Promise.all([shy, foreign, none].map((client) => client.close()));
});

test('a token that allows less ends what is followed of users that it no longer allows', async () => {
  const [watcher, control] = (await clientsOnShards(
    { url: server.url, token: tokenOf('fading') },
    [0, 0],
  )) as [TestClient, TestClient];
  const watched = await connect('private-person');
  for (const client of [watcher, control])
    await succeed(client, 'PresenceSubscribe', { users: ['private-person'] });
  await succeed(watcher, 'Auth', { token: tokenOf('fading', { permissions: ['subscribe:*'] }) });
  await succeed(watched, 'Presence', { status: 'busy' });
  await heard(control, 'private-person', ({ status }) => status === 'busy');
  await watcher.request('Ping');
  assert.deepEqual(eventsOf(watcher, 'private-person'), []);
  await Promise.all([watcher, control, watched].map((client) => client.close()));
});
