/** `Subscribe` before any home is asked: the topic of everyone, and how long a filter may be. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterCharsMax } from '#proto/limits.ts';
import type { Tenant } from '#proto/names.ts';
import { PermissionSource } from '../../../src/auth/permissions.ts';
import type { AnswerReceiver, Requested } from '../../../src/session/ports.ts';
import { SessionWorld } from '../../kit/session-world.ts';

const everyone = 'sys:all';

function openWith(permissions: string[]) {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  const identity = { ...world.identity('ann'), tenant: 'default' as Tenant };
  session.authenticate({ ...identity, permissions: new PermissionSource({}).of({ permissions }) });
  world.turn();
  const request = (type: string, data: object) => {
    world.send(session, { type, id: 'r', data });
    return transport.envelopes().at(-1)!;
  };
  return { world, session, transport, request };
}

for (const permission of ['admin:*', 'subscribe:*', 'subscribe:sys:*', 'subscribe:sys:all']) {
  test(`nobody subscribes to the topic of everyone, with ${permission} neither`, () => {
    const { world, session, request } = openWith([permission, 'subscribe:*']);
    for (const filter of [undefined, {}, { event: 'x' }]) {
      const { type, data } = request('Subscribe', { topic: everyone, ...(filter && { filter }) });
      assert.deepEqual([type, data.code], ['Error', 'invalid_topic']);
      assert.match(data.message, /sys:all/);
    }
    assert.equal(request('Unsubscribe', { topic: everyone }).data.code, 'not_subscribed');
    const lanes = [...world.subscribers.lanes()];
    assert.deepEqual(
      lanes.map(([topic, { subscribers }]) => [topic, subscribers.size]),
      [['default|sys:all', 1]],
      'the session has its place on the lane of everyone, once',
    );
    assert.equal(world.count('subscriptions'), 0);
    session.onTransportClosed(1000);
    world.turn();
    assert.equal(lanes[0]![1].subscribers.size, 0);
  });
}

/** A filter of exactly `chars` characters as JSON, one of them escaped and one of two code units. */
function filterOf(chars: number): object {
  const filter = (fill: string) => ({ event: `"ü😀${fill}` });
  const fill = 'x'.repeat(chars - JSON.stringify(filter('')).length);
  assert.equal(JSON.stringify(filter(fill)).length, chars);
  return filter(fill);
}

test('a filter of as many characters as allowed is taken, one more is refused with the limit', () => {
  const { request } = openWith(['subscribe:*']);
  assert.equal(request('Subscribe', { topic: 'a', filter: filterOf(filterCharsMax) }).type, 'Status');
  const { type, data } = request('Subscribe', { topic: 'b', filter: filterOf(filterCharsMax + 1) });
  assert.deepEqual([type, data.code], ['Error', 'invalid_filter']);
  assert.match(data.message, new RegExp(`data\\.filter.*${filterCharsMax}`));
});

test('conditions that are each allowed are together too long, and the refused topic is free to subscribe', () => {
  const { world, request } = openWith(['subscribe:*']);
  const filter = { event: { in: Array.from({ length: 60 }, (_, index) => `${index}${'x'.repeat(40)}`) } };
  assert.equal(request('Subscribe', { topic: 'a', filter }).data.code, 'invalid_filter');
  assert.equal(world.count('subscriptions'), 0);
  assert.equal(request('Subscribe', { topic: 'a' }).type, 'Status');
});

/** A session whose next Subscribe waits for its home, until the test answers. */
function openWithSlowHome() {
  const opened = openWith(['subscribe:*']);
  let [receiver, correlation]: [AnswerReceiver | undefined, number] = [undefined, 0];
  opened.world.context.topics.subscribe = (_topic, _lane, _subscriber, _since, asking): Requested => {
    receiver = asking;
    return { state: 'pending', correlation: ++correlation };
  };
  const answer = (of: number) => {
    receiver?.onAnswer(of, { ok: true });
    opened.world.turn();
  };
  return { ...opened, answer };
}

test('[SES4] unsubscribed before the home has answered: both are answered at once, in their order, and what the home answers later changes nothing', () => {
  const { world, session, transport, answer } = openWithSlowHome();
  world.send(session, [
    { type: 'Subscribe', id: 's', data: { topic: 'a' } },
    { type: 'Unsubscribe', id: 'u', data: { topic: 'a' } },
  ]);
  assert.equal(world.count('subscriptions'), 0);
  answer(1);
  assert.deepEqual(
    transport
      .envelopes()
      .slice(1)
      .map(({ type, id, data }) => [type, id, data.code]),
    [
      ['Status', 's', undefined],
      ['Status', 'u', undefined],
    ],
  );
  assert.equal(world.count('subscriptions'), 0);
});

test('[SES4] subscribed again before the home has answered: three answers in their order, and one subscription', () => {
  const { world, session, transport, answer } = openWithSlowHome();
  world.send(session, [
    { type: 'Subscribe', id: 's1', data: { topic: 'a' } },
    { type: 'Unsubscribe', id: 'u', data: { topic: 'a' } },
    { type: 'Subscribe', id: 's2', data: { topic: 'a' } },
  ]);
  for (const correlation of [1, 2]) answer(correlation);
  assert.deepEqual(
    transport
      .envelopes()
      .slice(1)
      .map(({ type, id }) => [type, id]),
    [
      ['Status', 's1'],
      ['Status', 'u'],
      ['Status', 's2'],
    ],
  );
  assert.equal(world.count('subscriptions'), 1);
});
