/** [RES1] A session is resumed with the permissions and limits of now: what is not allowed any more is told, the rest is back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bye, clientOn, entriesOf, gotOnce, homedAt, lose, ok, publish, resume } from '../kit/resuming.ts';
import type { Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer({ MAX_SUBSCRIPTIONS: '4', MAX_WATCHED_USERS: '3' });
});
after(() => server.stop());

const namesOf = (reply: Envelope['data']) => reply.topics.map(({ topic }: Envelope['data']) => topic);
const ended = (client: TestClient) =>
  client.received.filter(({ data }) => data.op === 'Subscription').map(({ data }) => data);

for (const home of [0, 1]) {
  test(`subscriptions that the token does not allow any more are told, the others are back, home ${home}`, async () => {
    const user = homedAt(home, (index) => `narrowed-${index}`);
    const [open, closed] = [`open:${home}`, `closed:${home}`];
    const sender = await clientOn(server.url, 0, `sender-${home}`);
    const lost = await clientOn(server.url, 0, user);
    for (const topic of [closed, open]) await ok(lost.request('Subscribe', { topic }));
    await lose(server.url, lost);
    for (const topic of [closed, open]) await publish(sender, topic, 3);
    const claims = { permissions: ['subscribe:open:*', 'publish:*'] };
    const next = await clientOn(server.url, 1, user, { claims });
    const reply = await ok(resume(next, lost));
    assert.deepEqual(namesOf(reply).sort(), [`inbox:${user}`, open]);
    await next.until(() => ended(next).length > 0);
    const [told] = ended(next);
    assert.deepEqual([told.topic, told.active], [closed, false]);
    assert.match(told.reason, /subscribe:closed/);
    for (const topic of [closed, open]) await publish(sender, topic, 1);
    await gotOnce(next, open, { first: 1, last: 4 });
    assert.deepEqual(entriesOf(next, closed), []);
    assert.equal(ended(next).length, 1);
    // Gone for good, also when it is resumed once more with a better token.
    await lose(server.url, next);
    const last = await clientOn(server.url, 0, user);
    assert.deepEqual(namesOf(await ok(resume(last, next))).sort(), [`inbox:${user}`, open]);
    await bye(last, sender);
  });
}

test('a membership that the token does not allow any more is told', async () => {
  const lost = await clientOn(server.url, 0, 'member');
  await ok(lost.request('Subscribe', { topic: 'open:seen', presence: true }));
  await lose(server.url, lost);
  const next = await clientOn(server.url, 1, 'member', { claims: { permissions: ['subscribe:*'] } });
  await ok(resume(next, lost));
  await next.until(() => ended(next).length > 0);
  assert.deepEqual([ended(next)[0].topic, ended(next)[0].active], ['open:seen', false]);
  await bye(next);
});

test('with subscriptions of its own a connection gets no more than MAX_SUBSCRIPTIONS, and hears which are missing', async () => {
  const lost = await clientOn(server.url, 0, 'many');
  const old = ['open:m1', 'open:m2', 'open:m3'];
  for (const topic of old) await ok(lost.request('Subscribe', { topic }));
  await lose(server.url, lost);
  const next = await clientOn(server.url, 1, 'many');
  for (const topic of ['open:n1', 'open:n2']) await ok(next.request('Subscribe', { topic }));
  const reply = await ok(resume(next, lost));
  assert.equal(reply.topics.length, 3, 'two topics and the inbox');
  await next.until(() => ended(next).length > 0);
  const missing = old.filter((topic) => !namesOf(reply).includes(topic));
  assert.deepEqual(
    ended(next).map(({ topic, active }) => [topic, active]),
    missing.map((topic) => [topic, false]),
  );
  assert.match(ended(next)[0].reason, /MAX_SUBSCRIPTIONS/);
  await bye(next);
});

test('what the connection had subscribed itself before it resumed is not told as ended', async () => {
  const sender = await clientOn(server.url, 0, 'sender-both');
  const topic = 'open:both';
  const lost = await clientOn(server.url, 0, 'both');
  for (const name of [topic, 'open:other']) await ok(lost.request('Subscribe', { topic: name }));
  await lose(server.url, lost);
  const next = await clientOn(server.url, 1, 'both');
  await ok(next.request('Subscribe', { topic }));
  await ok(resume(next, lost));
  await publish(sender, topic, 1);
  await next.until(() => entriesOf(next, topic).length === 1);
  assert.equal((await next.request('Ping')).type, 'Pong');
  assert.deepEqual(ended(next), [], 'the subscription is there, and it says that it is not');
  await bye(next, sender);
});

test('of the users that it followed those that it still may see are followed again', async () => {
  const friend = await clientOn(server.url, 0, 'friend-1');
  const lost = await clientOn(server.url, 0, 'follower');
  await ok(lost.request('PresenceSubscribe', { users: ['friend-1', 'secret-1'] }));
  await lose(server.url, lost);
  const claims = { permissions: ['subscribe:*', 'presence:friend-*'] };
  const next = await clientOn(server.url, 1, 'follower', { claims });
  await ok(resume(next, lost));
  await ok(friend.request('Presence', { status: 'busy' }));
  await next.waitFor(
    ({ type, data }) => type === 'Presence' && data.user === 'friend-1' && data.status === 'busy',
  );
  assert.ok(!next.received.some(({ type, data }) => type === 'Presence' && data.user === 'secret-1'));
  await bye(next, friend);
});

test('with users that it follows itself a connection follows as many as MAX_WATCHED_USERS allows', async () => {
  const friend = await clientOn(server.url, 0, 'friend-2');
  const lost = await clientOn(server.url, 0, 'watcher');
  await ok(lost.request('PresenceSubscribe', { users: ['friend-2', 'friend-3'] }));
  await lose(server.url, lost);
  const next = await clientOn(server.url, 1, 'watcher');
  await ok(next.request('PresenceSubscribe', { users: ['friend-4', 'friend-3'] }));
  await ok(resume(next, lost));
  await ok(friend.request('Presence', { status: 'busy' }));
  await next.waitFor(
    ({ type, data }) => type === 'Presence' && data.user === 'friend-2' && data.status === 'busy',
  );
  assert.equal(
    (await next.request('PresenceSubscribe', { users: ['friend-5'] })).data.code,
    'limit_exceeded',
  );
  await bye(next, friend);
});
