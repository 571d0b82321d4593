/** Direct messages that are kept: two inboxes, one conversation; edits, deletions, receipts, search. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { defaultTenant, type UserId, userKey } from '#proto/names.ts';
import { HashRing } from '../../src/routing/hash-ring.ts';
import { eventually } from '../kit/eventually.ts';
import { clientsOnShards, type Envelope, TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.stop());

const connect = (user: string, claims: object = {}) =>
  TestClient.connect({ url: server.url, token: tokenOf(user, claims) });

async function ok(reply: Promise<Envelope>): Promise<Envelope['data']> {
  const { type, data } = await reply;
  assert.equal(type, 'Status', JSON.stringify(data));
  return data;
}

const connected = (client: TestClient) =>
  client.received.find(({ data }) => data.op === 'Connect')?.data as Envelope['data'];
const direct = (client: TestClient) => client.ofType('DirectMessage').map(({ data }) => data);

test('a direct message lands in both inboxes, and reaches all devices but the one that sent it', async () => {
  const [ann, annToo] = (await clientsOnShards({ url: server.url, token: tokenOf('ann1') }, [0, 1])) as [
    TestClient,
    TestClient,
  ];
  const ben = await connect('ben1');
  const sent = await ok(ann.request('DirectMessage', { to: 'ben1', payload: 'hello' }));
  assert.equal(sent.offset, 1);
  await ben.until(() => direct(ben).length === 1);
  await annToo.until(() => direct(annToo).length === 1);
  assert.deepEqual(direct(ben)[0], {
    ...{ topic: 'inbox:ben1', offset: 1, from: 'ann1', to: 'ben1', payload: 'hello' },
  });
  assert.equal(direct(annToo)[0].topic, 'inbox:ann1');
  assert.deepEqual(direct(ann), []);
  const answered = await ok(ben.request('DirectMessage', { to: 'ann1', payload: 'hi' }));
  assert.equal(answered.offset, 2);
  await ann.until(() => direct(ann).length === 1);
  assert.deepEqual([direct(ann)[0].offset, direct(ann)[0].topic], [2, 'inbox:ann1']);
  for (const [client, other] of [
    [ann, 'ben1'],
    [ben, 'ann1'],
  ] as const) {
    const page = await ok(client.request('History', { with: other }));
    assert.deepEqual(
      page.messages.map(({ from, to, payload, offset }: Envelope['data']) => [from, to, payload, offset]),
      [
        ['ann1', 'ben1', 'hello', 1],
        ['ben1', 'ann1', 'hi', 2],
      ],
    );
  }
  assert.deepEqual((await ok(ann.request('History', { with: 'nobody' }))).messages, []);
  await Promise.all([ann.close(), annToo.close(), ben.close()]);
});

test('the same key makes one direct message, and another body under it is a conflict', async () => {
  const ann = await connect('ann2');
  const first = await ok(ann.request('DirectMessage', { to: 'ben2', payload: 1, key: 'k' }));
  const again = await ok(ann.request('DirectMessage', { to: 'ben2', payload: 1, key: 'k' }));
  assert.deepEqual([again.messageId, again.offset, again.duplicate], [first.messageId, first.offset, true]);
  const other = await ann.request('DirectMessage', { to: 'ben2', payload: 2, key: 'k' });
  assert.equal(other.data.code, 'key_conflict');
  assert.equal((await ok(ann.request('History', { with: 'ben2' }))).messages.length, 1);
  await ann.close();
});

test('who was away gets the inbox by its position, before and beside what comes live', async () => {
  const ann = await connect('ann3');
  const before = await connect('ben3');
  const { inbox } = connected(before);
  assert.equal(inbox.offset, 0);
  await before.close();
  for (let payload = 1; payload <= 5; payload++)
    await ok(ann.request('DirectMessage', { to: 'ben3', payload }));
  const ben = await connect('ben3');
  assert.equal(connected(ben).inbox.offset, 5);
  await ok(ann.request('DirectMessage', { to: 'ben3', payload: 6 }));
  await ben.until(() => direct(ben).length === 1);
  const reply = await ok(ben.request('Subscribe', { topic: 'inbox:ben3', since: { ...inbox, offset: 2 } }));
  assert.equal(reply.recovered, true);
  await ben.until(() => direct(ben).length === 4);
  assert.deepEqual(
    direct(ben).map(({ offset, replay }) => [offset, replay]),
    [
      [6, undefined],
      [3, true],
      [4, true],
      [5, true],
    ],
  );
  await Promise.all([ann.close(), ben.close()]);
});

test('an inbox of a thousand messages is recovered from the store, in order', async () => {
  const ann = await connect('ann4');
  const { epoch } = connected(ann).inbox;
  for (let from = 1; from <= 1000; from += 100) {
    const batch = Array.from({ length: 100 }, (_, index) => from + index);
    await Promise.all(batch.map((payload) => ok(ann.request('DirectMessage', { to: 'ben4', payload }))));
  }
  const ben = await connect('ben4');
  await ok(ben.request('Subscribe', { topic: 'inbox:ben4', since: { offset: 0, epoch } }));
  await ben.until(() => direct(ben).length === 1000);
  assert.deepEqual(
    direct(ben).map(({ offset }) => offset),
    Array.from({ length: 1000 }, (_, index) => index + 1),
  );
  await Promise.all([ann.close(), ben.close()]);
});

test('when the home of an inbox dies its sessions get what they missed, without asking', async () => {
  const ann = await connect('ann5');
  const clients = (await clientsOnShards(
    { url: server.url, token: tokenOf('ben5') },
    [0, 1],
  )) as TestClient[];
  const home = new HashRing(2).shardOf(userKey(defaultTenant, 'ben5' as UserId));
  const survivor = clients[1 - home] as TestClient;
  const sender = (
    await clientsOnShards({ url: server.url, token: tokenOf('ann5') }, [1 - home])
  )[0] as TestClient;
  await ok(sender.request('DirectMessage', { to: 'ben5', payload: 0 }));
  await survivor.until(() => direct(survivor).length === 1);
  server.failpoint(home, 'shard.exit');
  const sendings = Array.from({ length: 20 }, async (_, index) => {
    for (;;) {
      const key = `key-${index}`;
      const { type, data } = await sender.request('DirectMessage', { to: 'ben5', payload: index + 1, key });
      if (type === 'Status') return;
      assert.equal(data.retryable, true, JSON.stringify(data));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
  await Promise.all(sendings);
  await survivor.until(() => direct(survivor).length >= 21);
  assert.deepEqual(
    direct(survivor).map(({ offset }) => offset),
    Array.from({ length: 21 }, (_, index) => index + 1),
  );
  await Promise.all([sender.close(), survivor.close()]);
  ann.socket.terminate();
  for (const client of clients) client.socket.terminate();
});

test('who edits and deletes: the log tells it to everyone, and history shows what is left', async () => {
  const [ann, ben] = await Promise.all([connect('ann6'), connect('ben6')]);
  const topic = 'edits:1';
  await ok(ben.request('Subscribe', { topic }));
  const first = await ok(ann.request('Broadcast', { topic, payload: 'frist', event: 'said' }));
  const second = await ok(ann.request('Broadcast', { topic, payload: 'second' }));
  const edited = await ok(ann.request('Edit', { messageId: first.messageId, payload: 'first' }));
  assert.deepEqual([edited.messageId, edited.offset], [first.messageId, 3]);
  const deleted = await ok(ann.request('Delete', { messageId: second.messageId }));
  assert.equal(deleted.offset, 4);
  const seen = await ben.waitFor(({ type }) => type === 'Deleted');
  assert.deepEqual(seen.data, { topic, offset: 4, messageId: second.messageId, by: 'ann6' });
  assert.deepEqual(ben.ofType('Edited')[0]?.data, {
    ...{ topic, offset: 3, messageId: first.messageId, by: 'ann6', payload: 'first' },
  });
  const { messages } = await ok(ben.request('History', { topic }));
  assert.deepEqual(
    messages.map(({ offset, payload, editedAt, deletedAt }: Envelope['data']) => [
      offset,
      payload,
      editedAt,
      deletedAt,
    ]),
    [
      [1, 'first', edited.editedAt, undefined],
      [2, null, undefined, deleted.deletedAt],
    ],
  );
  const cid = await connect('cid6');
  await ok(cid.request('Subscribe', { topic, since: { offset: 0, epoch: first.epoch } }));
  await cid.until(() => cid.ofType('Deleted').length === 2);
  assert.deepEqual(
    cid.received
      .filter(({ data }) => data.offset && data.replay)
      .map(({ type, data }) => [type, data.offset, data.payload]),
    [
      ['Broadcast', 1, 'first'],
      ['Deleted', 2, undefined],
      ['Edited', 3, 'first'],
      ['Deleted', 4, undefined],
    ],
  );
  await Promise.all([ann.close(), ben.close(), cid.close()]);
});

test('messages of others are edited with the permission only, and strangers learn nothing', async () => {
  const [ann, ben] = await Promise.all([connect('ann7'), connect('ben7')]);
  const admin = await connect('root7', { roles: ['admin'] });
  const { messageId } = await ok(ann.request('Broadcast', { topic: 'edits:2', payload: 1 }));
  const secret = await ok(ann.request('DirectMessage', { to: 'cid7', payload: 'between us' }));
  const refusals = await Promise.all([
    ben.request('Edit', { messageId, payload: 2 }),
    ben.request('Delete', { messageId }),
    ben.request('Delete', { messageId: secret.messageId }),
    ben.request('DeliveryStatus', { messageId: secret.messageId }),
    ann.request('Edit', { messageId: '01976b3a-0000-7000-8000-000000000001', payload: 2 }),
  ]);
  assert.deepEqual(
    refusals.map(({ data }) => data.code),
    ['permission_denied', 'permission_denied', 'not_found', 'not_found', 'not_found'],
  );
  assert.equal((await ok(admin.request('Edit', { messageId, payload: 3 }))).offset, 2);
  await ok(admin.request('Delete', { messageId }));
  assert.equal((await ann.request('Edit', { messageId, payload: 4 })).data.code, 'not_found');
  await Promise.all([ann.close(), ben.close(), admin.close()]);
});

test('a direct message is edited and deleted in both inboxes', async () => {
  const [ann, ben] = await Promise.all([connect('ann8'), connect('ben8')]);
  const sent = await ok(ann.request('DirectMessage', { to: 'ben8', payload: 'helo' }));
  const edited = await ok(ann.request('Edit', { messageId: sent.messageId, payload: 'hello' }));
  assert.equal(edited.offset, 2);
  const seen = await ben.waitFor(({ type }) => type === 'Edited');
  assert.deepEqual([seen.data.topic, seen.data.payload, seen.data.offset], ['inbox:ben8', 'hello', 2]);
  for (const [client, other] of [
    [ann, 'ben8'],
    [ben, 'ann8'],
  ] as const) {
    const { messages } = await ok(client.request('History', { with: other }));
    assert.deepEqual(
      messages.map(({ payload }: Envelope['data']) => payload),
      ['hello'],
    );
  }
  await ok(ann.request('Delete', { messageId: sent.messageId }));
  await ben.waitFor(({ type }) => type === 'Deleted');
  await Promise.all([ann.close(), ben.close()]);
});

test('receipts: the sender hears how far the other side is, and can ask for one message', async () => {
  const [ann, ben] = await Promise.all([connect('ann9'), connect('ben9')]);
  await ok(ben.request('DirectMessage', { to: 'someone', payload: 0 })); // the offsets of both inboxes differ
  const sent = await ok(ann.request('DirectMessage', { to: 'ben9', payload: 1 }));
  await ben.until(() => direct(ben).length === 1);
  await ok(ben.request('Ack', { topic: 'inbox:ben9', offset: direct(ben)[0].offset }));
  const delivered = await ann.waitFor(({ type }) => type === 'Receipt');
  assert.deepEqual(delivered.data, { with: 'ben9', user: 'ben9', kind: 'delivered', offset: sent.offset });
  await ok(ben.request('Read', { topic: 'inbox:ben9', offset: direct(ben)[0].offset }));
  await ann.waitFor(({ type, data }) => type === 'Receipt' && data.kind === 'read');
  let recipients: Envelope['data'] = [];
  await eventually('it is stored that it was read', async () => {
    ({ recipients } = await ok(ann.request('DeliveryStatus', { messageId: sent.messageId })));
    return recipients[0]?.read === true;
  });
  assert.deepEqual(
    recipients.map(({ user, delivered: isDelivered, read }: Envelope['data']) => [user, isDelivered, read]),
    [['ben9', true, true]],
  );
  const beyond = await ben.request('Read', { topic: 'inbox:ben9', offset: 99 });
  assert.equal(beyond.data.code, 'bad_request');
  await Promise.all([ann.close(), ben.close()]);
});

test('receipts of a topic are told to its subscribers', async () => {
  const [ann, ben] = await Promise.all([connect('ann10'), connect('ben10')]);
  const topic = 'group:10';
  await Promise.all([ok(ann.request('Subscribe', { topic })), ok(ben.request('Subscribe', { topic }))]);
  await ok(ann.request('Broadcast', { topic, payload: 1 }));
  await ok(ben.request('Read', { topic, offset: 1 }));
  const receipt = await ann.waitFor(({ type }) => type === 'Receipt');
  assert.deepEqual(receipt.data, { topic, user: 'ben10', kind: 'read', offset: 1 });
  await Promise.all([ann.close(), ben.close()]);
});

test('a search finds what may be read, by words, in payloads', async () => {
  const [ann, ben] = await Promise.all([connect('ann11'), connect('ben11')]);
  const narrow = await connect('cid11', { permissions: ['history:find:public'] });
  await ok(ann.request('Broadcast', { topic: 'find:public', payload: { text: 'The quick brown fox' } }));
  await ok(ann.request('Broadcast', { topic: 'find:private', payload: { text: 'The quick red fox' } }));
  await ok(ann.request('DirectMessage', { to: 'ben11', payload: 'a quick fox for you' }));
  const found = async (client: TestClient, data: object) => {
    const { messages } = await ok(client.request('Search', data));
    return messages.map(({ topic }: Envelope['data']) => topic).sort();
  };
  assert.deepEqual(await found(ann, { query: 'quick fox' }), ['find:private', 'find:public', 'inbox:ann11']);
  assert.deepEqual(await found(ben, { query: 'quick fox' }), ['find:private', 'find:public', 'inbox:ben11']);
  assert.deepEqual(await found(narrow, { query: 'quick' }), ['find:public']);
  assert.deepEqual(await found(ann, { query: 'quick -red', topic: 'find:private' }), []);
  assert.deepEqual(await found(ann, { query: '"brown fox" or red' }), ['find:private', 'find:public']);
  assert.deepEqual(await found(ben, { query: 'fox', with: 'ann11' }), ['inbox:ben11']);
  assert.equal(
    (await narrow.request('Search', { query: 'fox', topic: 'find:private' })).data.code,
    'permission_denied',
  );
  const broken = await ann.request('Search', { query: '"open' });
  assert.deepEqual([broken.data.code, /phrase/.test(broken.data.message)], ['bad_request', true]);
  await Promise.all([ann.close(), ben.close(), narrow.close()]);
});
