/** `Subscribe` with `since`, to a topic and to one's own inbox: what is replied, what follows, and what ends it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '#proto/error-codes.ts';
import type { MessageId } from '#proto/names.ts';
import type { AnswerReceiver, DirectFrames, Requested } from '../../../src/session/ports.ts';
import type { Page, PageRequest } from '../../../src/store/history-store.ts';
import { type Answer, type Joined, refused, type Since } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { SessionWorld } from '../../kit/session-world.ts';
import { range } from '../log/log-world.ts';

const answered = (answer: Answer): Requested => ({ state: 'answered', answer });
const at = (offset: number, fields: Partial<Joined> = {}): Joined => ({
  ...{ position: { offset, epoch: 'e1' }, isLive: true },
  ...fields,
});
/** Of the inbox, where only its place counts. */
const nothing: DirectFrames = { frames: new Uint8Array(), frameCount: 0, delivery: 'normal' };
const cold = (offset: number): Joined => at(offset, { isLive: false, recovered: true });

function pageOf(offsets: number[], fields: Partial<Page> = {}): Page {
  const messages = offsets.map((offset) => ({
    ...{ kind: 'message' as const, offset, messageId: `m${offset}` as MessageId, from: 'ben' as never },
    ...{ peer: 'ben' as never, target: undefined, event: undefined, priority: undefined, timestampMs: 1000 },
    ...{ payload: Payload.ofValue(offset).msgpack, editedAtMs: undefined, deletedAtMs: undefined },
  }));
  return { messages, hasMore: false, firstOffset: 1, lastOffset: offsets.at(-1) ?? 0, ...fields };
}

/** A session whose home and store answer when the test says so. */
function open() {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  const pending: {
    of: 'home' | 'store';
    since?: Since;
    request?: PageRequest;
    settle: (answer: Answer) => void;
  }[] = [];
  let correlation = 0;
  const wait = (of: 'home' | 'store', receiver: AnswerReceiver, asked: object): Requested => {
    const own = ++correlation;
    const settle = (answer: Answer) => {
      receiver.onAnswer(own, answer);
      world.turn();
    };
    pending.push({ of, ...asked, settle });
    return { state: 'pending', correlation: own };
  };
  world.join = (since, receiver) => wait('home', receiver, { since });
  world.attach = (receiver, since) => wait('home', receiver, { since });
  world.ask = (_name, request, receiver) => wait('store', receiver, { request });
  const said = () => transport.envelopes().slice(1);
  /** In short: replies by op or code, what was missed by its offset. */
  const heard = () =>
    said().map(({ type, data }) =>
      type === 'Status' ? data.op : type === 'Error' ? data.code : data.replay ? data.offset : type,
    );
  const subscribe = (topic: string, since?: object) =>
    world.send(session, { type: 'Subscribe', id: 's', data: { topic, ...(since && { since }) } });
  return { world, session, transport, pending, said, heard, subscribe };
}

const since = (offset: number) => ({ offset, epoch: 'e1' });

test('[REC1] the reply says where the subscription is live, and what was missed follows it', () => {
  const { pending, said, heard, subscribe } = open();
  subscribe('a', since(3));
  assert.deepEqual(pending[0]?.since, since(3));
  pending.shift()!.settle({ ok: true, joined: cold(6) });
  pending.shift()!.settle({ ok: true, result: pageOf([4, 5, 6]) });
  assert.deepEqual(heard(), ['Subscribe', 4, 5, 6]);
  assert.deepEqual(said()[0]!.data, {
    ...{ op: 'Subscribe', topic: 'a', class: 'volatile', offset: 6, epoch: 'e1', recovered: true },
  });
  assert.deepEqual(pending[0]?.since, { offset: 6, epoch: 'e1' }, 'and the home is asked again');
});

test('without since the reply says where the topic ends, and nothing is replayed', () => {
  const { pending, said, subscribe } = open();
  subscribe('a');
  pending.shift()!.settle({ ok: true, joined: at(6) });
  assert.deepEqual(
    said().map(({ data }) => data),
    [{ op: 'Subscribe', topic: 'a', class: 'volatile', offset: 6, epoch: 'e1' }],
  );
  assert.equal(pending.length, 0);
});

test('[REC3] what is out of reach is told, and the subscription is live all the same', () => {
  for (const answer of [{ ok: true as const, joined: at(6, { recovered: false }) }, { ok: true as const }]) {
    const { world, pending, said, subscribe } = open();
    subscribe('a', since(3));
    pending.shift()!.settle(answer);
    assert.deepEqual([said().length, said()[0]!.data.recovered], [1, false]);
    assert.deepEqual([pending.length, world.count('subscriptions')], [0, 1]);
  }
});

test('a store that is away refuses the subscription, which may be tried again', () => {
  const { world, pending, heard, subscribe } = open();
  subscribe('a', since(3));
  pending.shift()!.settle(refused(refusal('store_unavailable', 'the store is not there', 1000)));
  assert.deepEqual([heard(), world.count('subscriptions')], [['store_unavailable'], 0]);
  subscribe('a', since(3));
  pending.shift()!.settle({ ok: true, joined: at(3, { recovered: true }) });
  assert.deepEqual(heard(), ['store_unavailable', 'Subscribe']);
});

test('[REC3] what is taken away while it is replayed ends the subscription with a reason, and it can be had anew', () => {
  const { world, pending, said, heard, subscribe } = open();
  subscribe('a', since(3));
  pending.shift()!.settle({ ok: true, joined: cold(90) });
  pending.shift()!.settle({ ok: true, result: pageOf([], { firstOffset: 50, lastOffset: 90 }) });
  assert.deepEqual(heard(), ['Subscribe', 'Subscription']);
  assert.deepEqual([said()[1]!.data.active, said()[1]!.data.topic], [false, 'a']);
  assert.match(said()[1]!.data.reason, /not kept/);
  assert.equal(world.count('subscriptions'), 0);
  subscribe('a');
  assert.equal(pending.length, 1);
});

test('unsubscribed while what was missed is on its way: nothing of the topic follows the reply, and no home is asked', () => {
  const { world, session, pending, heard, subscribe } = open();
  subscribe('a', since(3));
  pending.shift()!.settle({ ok: true, joined: cold(90) });
  world.send(session, { type: 'Unsubscribe', id: 'u', data: { topic: 'a' } });
  assert.deepEqual(heard(), ['Subscribe', 'Unsubscribe']);
  pending.shift()!.settle({ ok: true, result: pageOf(range(4, 90)) });
  world.pass(2000);
  assert.deepEqual([heard(), pending.length], [['Subscribe', 'Unsubscribe'], 0]);
});

test('a session that ends while what was missed is on its way is on no lane afterwards', () => {
  for (const end of ['closed', 'unsubscribed and closed'] as const) {
    const { world, session, pending, subscribe } = open();
    subscribe('a', since(3));
    pending.shift()!.settle({ ok: true, joined: cold(90) });
    if (end !== 'closed') world.send(session, { type: 'Unsubscribe', id: 'u', data: { topic: 'a' } });
    world.join = () => answered({ ok: true, joined: at(90, { recovered: true }) });
    if (end === 'closed') session.onTransportClosed(1006);
    pending.shift()!.settle({ ok: true, result: pageOf(range(4, 90)) });
    session.onTransportClosed(1006);
    world.turn();
    for (const [topic, { subscribers }] of world.subscribers.lanes())
      assert.equal(subscribers.size, 0, `${end}: ${topic}`);
  }
});

/** A session that began when its inbox ended at 7. */
function openWithInbox() {
  const opened = open();
  const { world, pending } = opened;
  const { session, transport } = world.connect();
  session.authenticate(world.identity('ann'));
  pending.shift()!.settle({ ok: true }); // the topic of everyone
  pending.shift()!.settle({ ok: true, joined: at(7) });
  world.turn();
  const heard = () =>
    transport.envelopes().map(({ type, data }) => (type === 'Status' ? data.op : (data.offset ?? data.code)));
  const subscribe = (data: object) =>
    world.send(session, { type: 'Subscribe', id: 's', data: { topic: 'inbox:ann', ...data } });
  return { ...opened, session, transport, heard, subscribe };
}

test('the first frame says where the inbox ends: what lies behind it comes by itself', () => {
  const { transport, heard } = openWithInbox();
  assert.deepEqual(heard(), ['Connect']);
  assert.deepEqual(transport.envelopes()[0]!.data.inbox, { offset: 7, epoch: 'e1' });
});

test('[REC1] of the inbox is replayed what came before this session began, and nothing that it gets by itself', () => {
  const { session, pending, heard, subscribe } = openWithInbox();
  subscribe({ since: since(4) });
  assert.deepEqual(pending[0]?.since, { ...since(4), upTo: 7 });
  pending.shift()!.settle({ ok: true, joined: cold(9) });
  assert.deepEqual(pending[0]?.request?.before, 8);
  session.deliverDirect(nothing, 9);
  pending.shift()!.settle({ ok: true, result: pageOf([5, 6, 7]) });
  pending.shift()!.settle({ ok: true, joined: at(9, { recovered: true }) });
  assert.deepEqual([heard(), pending.length], [['Connect', 'Subscribe', 5, 6, 7], 1]);
  assert.equal(pending.shift()!.since?.offset, 7, 'what came meanwhile was left out, and is asked for');
  subscribe({ since: since(6) });
  assert.equal(pending.length, 1, 'and it may be asked for again');
});

test('while the inbox is replayed a second time is refused; with a filter it is refused always', () => {
  const { pending, heard, subscribe } = openWithInbox();
  subscribe({ since: since(4) });
  pending.shift()!.settle({ ok: true, joined: cold(9) });
  subscribe({ since: since(4) });
  subscribe({ filter: { event: 'x' } });
  assert.deepEqual(heard(), ['Connect', 'Subscribe', 'already_subscribed', 'invalid_filter']);
});

test('of two Subscribe of the inbox in one frame the second is refused, and what the first missed comes once', () => {
  const { world, session, pending, heard } = openWithInbox();
  const both = ['1', '2'].map((id) => ({
    type: 'Subscribe',
    id,
    data: { topic: 'inbox:ann', since: since(4) },
  }));
  world.send(session, both);
  assert.deepEqual([heard(), pending.length], [['Connect', 'already_subscribed'], 1]);
  pending.shift()!.settle({ ok: true, joined: cold(9) });
  pending.shift()!.settle({ ok: true, result: pageOf([5, 6, 7]) });
  pending.shift()!.settle({ ok: true, joined: at(9, { recovered: true }) });
  assert.deepEqual([heard(), pending.length], [['Connect', 'already_subscribed', 'Subscribe', 5, 6, 7], 0]);
});

test('a Subscribe of the inbox that was refused, or had nothing to read, stands in no way', () => {
  const answers: Answer[] = [
    refused(refusal('store_unavailable', 'the store is not there', 1000)),
    { ok: true },
    { ok: true, joined: at(7, { recovered: false }) },
    { ok: true, joined: at(7, { recovered: true }) },
  ];
  for (const answer of answers) {
    const { pending, subscribe } = openWithInbox();
    for (let tries = 0; tries < 2; tries++) {
      subscribe({ since: since(4) });
      assert.equal(pending.length, 1, JSON.stringify(answer));
      pending.shift()!.settle(answer);
    }
  }
});

test('[SES1] what the inbox got while its home was away is caught up with, and comes before what follows', () => {
  const { world, session, pending, heard } = openWithInbox();
  session.deliverDirect(nothing, 8);
  session.onHomeUp(0 as never);
  assert.deepEqual(pending[0]?.since, since(8));
  pending.shift()!.settle({ ok: true, joined: cold(10) });
  pending.shift()!.settle({ ok: true, result: pageOf([9, 10]) });
  pending.shift()!.settle({ ok: true, joined: at(10, { recovered: true }) });
  assert.deepEqual([heard(), pending.length], [['Connect', 9, 10], 0]);
  session.onInboxLost();
  assert.deepEqual(pending[0]?.since, since(10), 'from where it was');
  world.pass(100);
});

test('[RES1] whoever is asked for the inbox is told what the session is: it may be a home that was restarted since', () => {
  const { world, session, pending, subscribe } = openWithInbox();
  world.send(session, { type: 'Presence', data: { status: 'busy' } });
  world.attached.length = 0;
  subscribe({ since: since(4) });
  pending.shift()!.settle({ ok: true, joined: cold(7) });
  pending.shift()!.settle({ ok: true, result: pageOf([5, 6, 7]) });
  pending.shift()!.settle({ ok: true, joined: at(7, { recovered: true }) });
  session.onHomeUp(0 as never);
  pending.shift()!.settle({ ok: true, joined: cold(8) });
  pending.shift()!.settle({ ok: true, result: pageOf([8]) });
  assert.deepEqual(
    world.attached.map(({ told }) => told?.presence?.status),
    ['busy', 'busy', 'busy', 'busy'],
  );
});

test('[REC3] a hole in the inbox that nobody can fill is told, and the session goes on behind it', () => {
  const { transport, session, pending } = openWithInbox();
  session.onHomeUp(0 as never);
  pending.shift()!.settle({ ok: true, joined: at(40, { recovered: false }) });
  assert.equal(pending[0]?.since, undefined);
  pending.shift()!.settle({ ok: true, joined: at(41) });
  const last = transport.envelopes().at(-1)!;
  assert.deepEqual([last.data.op, last.data.topic, last.data.active], ['Subscription', 'inbox:ann', false]);
  assert.match(last.data.reason, /not kept/);
  session.onHomeUp(0 as never);
  assert.deepEqual(pending[0]?.since, since(41));
});
