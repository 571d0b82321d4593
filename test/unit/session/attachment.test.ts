/** How a session becomes known to its homes: in which order they are asked, what precedes `Connect`, what is missed later. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '#proto/error-codes.ts';
import { refusal } from '#proto/error-codes.ts';
import { everyoneTopic, type ShardId, topicKey } from '#proto/names.ts';
import type { AnswerReceiver, Requested } from '../../../src/session/ports.ts';
import { type Answer, type Joined, refused, type Since } from '../../../src/wire/message.ts';
import { frameText } from '../../../src/wire/websocket-frame.ts';
import { type RecordedTransport, SessionWorld } from '../../kit/session-world.ts';
import { tenant } from '../log/log-world.ts';

const home = 0 as ShardId;
/** Of the store in the session's world. */
const epoch = 'e';
const at = (offset: number): Since => ({ offset, epoch });
const live = (offset: number, fields: Partial<Joined> = {}): Answer => ({
  ok: true,
  joined: { position: { offset, epoch }, isLive: true, ...fields },
});
/** The store was away: nothing is known of the inbox. */
const blind: Answer = { ok: true };
const no = (code: ErrorCode): Answer => refused(refusal(code, 'not now', 1000));
const frame = (data: object) => frameText(JSON.stringify({ type: 'DirectMessage', data }));

/** What the client has heard, in short. */
function heard(transport: RecordedTransport): unknown[] {
  return transport
    .envelopes()
    .map(({ type, data }) => (type === 'Status' ? data.op : (data.op ?? data.offset ?? data.code ?? data.n)));
}

/** Homes that answer when the test says so, or at once with `atOnce`. */
function open() {
  const world = new SessionWorld();
  const asked: { of: 'everyone' | 'user'; since: Since | undefined; settle: (answer: Answer) => void }[] = [];
  let correlation = 0;
  const ask = (of: 'everyone' | 'user', receiver: AnswerReceiver, since: Since | undefined): Requested => {
    const own = ++correlation;
    const settle = (answer: Answer) => {
      receiver.onAnswer(own, answer);
      world.turn();
    };
    asked.push({ of, since, settle });
    return { state: 'pending', correlation: own };
  };
  const joinAtOnce = world.join;
  world.join = (since, receiver) => ask('everyone', receiver, since);
  world.attach = (receiver, since) => ask('user', receiver, since);
  const { session, transport } = world.connect();
  session.authenticate(world.identity('ann'));
  /** Answers the only question that is open. */
  const settle = (answer: Answer) => {
    assert.equal(asked.length, 1);
    (asked.shift() as (typeof asked)[number]).settle(answer);
  };
  const deliver = (offset: number) => {
    session.deliverDirect({ frames: frame({ offset }), frameCount: 1, delivery: 'normal' }, offset);
    world.turn();
  };
  /** A session whose user's home answered so. */
  const begin = (answer: Answer) => {
    world.join = joinAtOnce;
    settle({ ok: true });
    settle(answer);
  };
  return { world, session, transport, asked, settle, deliver, begin };
}

test('the topic of everyone is asked first, and the home of the user when that has answered', () => {
  const { transport, asked, settle } = open();
  assert.deepEqual(
    asked.map(({ of }) => of),
    ['everyone'],
  );
  settle({ ok: true });
  assert.deepEqual(
    [asked.map(({ of, since }) => [of, since]), heard(transport)],
    [[['user', undefined]], []],
  );
  settle(live(7));
  assert.deepEqual([heard(transport), transport.envelopes()[0]!.data.inbox], [['Connect'], at(7)]);
});

test('while the topic of everyone is out of reach the home of the user is not asked, so that nothing of the inbox precedes Connect', () => {
  const { world, transport, asked, settle, deliver } = open();
  for (let tries = 0; tries < 3; tries++) {
    settle(no('busy'));
    assert.deepEqual(asked, []);
    world.pass(500);
    assert.deepEqual(
      asked.map(({ of }) => of),
      ['everyone'],
    );
  }
  settle({ ok: true });
  settle(live(4));
  deliver(5);
  assert.deepEqual(heard(transport), ['Connect', 5]);
});

test('while the home of the user is busy it is asked again, and the topic of everyone is not', () => {
  const { world, asked, settle, transport } = open();
  settle({ ok: true });
  settle(no('busy'));
  world.pass(500);
  assert.deepEqual(
    asked.map(({ of }) => of),
    ['user'],
  );
  settle(live(4));
  assert.deepEqual(heard(transport), ['Connect']);
});

test('what is said to everyone before Connect is dropped, and what is said behind it is delivered', () => {
  const world = new SessionWorld();
  const receivers: AnswerReceiver[] = [];
  world.attach = (receiver) => {
    receivers.push(receiver);
    return { state: 'pending', correlation: 7 };
  };
  const { session, transport } = world.connect();
  session.authenticate(world.identity('ann'));
  const say = (n: number) => {
    const batch = { frameCount: 1, frames: frame({ n }), delivery: 'normal', upTo: 0 } as const;
    world.subscribers.deliver(topicKey(tenant, everyoneTopic), ['json', ''], batch);
    world.turn();
  };
  say(1);
  assert.deepEqual(heard(transport), []);
  receivers[0]!.onAnswer(7, blind);
  world.turn();
  say(2);
  assert.deepEqual(heard(transport), ['Connect', 2]);
});

test('a session that began without its inbox learns its place from the first message, and asks from there when some was lost', () => {
  const { session, transport, asked, begin, deliver, settle } = open();
  begin(blind);
  assert.equal(transport.envelopes()[0]!.data.inbox, undefined);
  assert.equal(session.attachment?.inboxAtStart, undefined);
  deliver(5);
  assert.deepEqual(session.attachment?.inboxAtStart, at(4));
  deliver(6);
  assert.deepEqual(session.attachment?.inboxAtStart, at(4), 'all behind it came by itself');
  session.onInboxLost();
  assert.deepEqual(asked[0]?.since, at(6));
  const replay = {
    upTo: 8,
    frameCount: 2,
    frames: Buffer.concat([frame({ offset: 7 }), frame({ offset: 8 })]),
  };
  settle(live(8, { recovered: true, replay }));
  deliver(9);
  assert.deepEqual(heard(transport), ['Connect', 5, 6, 7, 8, 9], 'and no hole is told');
});

test('of the inbox of such a session is replayed up to the first message that came by itself, and up to now before', () => {
  const { world, session, asked, begin, deliver, settle } = open();
  begin(blind);
  const subscribe = () =>
    world.send(session, { type: 'Subscribe', id: 's', data: { topic: 'inbox:ann', since: at(1) } });
  subscribe();
  assert.deepEqual(asked[0]?.since, { ...at(1), upTo: Number.MAX_SAFE_INTEGER });
  settle(live(1, { recovered: true }));
  deliver(5);
  subscribe();
  assert.deepEqual(asked[0]?.since, { ...at(1), upTo: 4 });
});

test('[REC3] a session that never learned where its inbox is tells of a hole when its home comes back, and knows it from then on', () => {
  for (const event of ['lost', 'home up'] as const) {
    const { world, session, transport, asked, begin, settle } = open();
    begin(blind);
    const lose = () => (event === 'lost' ? session.onInboxLost() : session.onHomeUp(home));
    lose();
    assert.deepEqual(
      asked.map(({ since }) => since),
      [undefined],
      event,
    );
    settle(live(9));
    world.turn();
    const { type, data } = transport.envelopes().at(-1)!;
    assert.deepEqual(
      [type, data.op, data.topic, data.active],
      ['Status', 'Subscription', 'inbox:ann', false],
    );
    lose();
    assert.deepEqual(asked[0]?.since, at(9), event);
    settle(live(9, { recovered: true }));
    assert.deepEqual(heard(transport), ['Connect', 'Subscription'], 'it is told once');
  }
});

test('a session that never learned where its inbox is, and whose home does not know it either, tells that something may be missing', () => {
  const { session, transport, begin, settle } = open();
  begin(blind);
  session.onHomeUp(home);
  settle(blind);
  assert.deepEqual(heard(transport), ['Connect', 'Subscription']);
});

test('a home that was asked is told of the end, whatever it answered last', () => {
  const ends: [name: string, run: (opened: ReturnType<typeof open>) => void][] = [
    ['not answered yet', ({ settle }) => settle({ ok: true })],
    ['refused at first', ({ settle }) => [{ ok: true } as Answer, no('busy')].map(settle)],
    ['knows', ({ begin }) => begin(live(4))],
    [
      'refused what was missed',
      ({ session, begin, settle }) => {
        begin(live(4));
        session.onHomeUp(home);
        settle(no('store_unavailable'));
      },
    ],
    [
      'is being asked what was missed',
      ({ session, begin }) => {
        begin(live(4));
        session.onInboxLost();
      },
    ],
  ];
  for (const [name, run] of ends) {
    const opened = open();
    run(opened);
    opened.session.onTransportClosed(1000);
    opened.world.turn();
    assert.equal(opened.world.count('detached'), 1, name);
  }
});

test('a home that was never asked is told of no end', () => {
  const { world, session } = open();
  session.onTransportClosed(1000);
  world.turn();
  assert.equal(world.count('detached'), 0);
});

test('what was refused because the store is away is asked again from the same place', () => {
  const { world, session, asked, begin, settle } = open();
  begin(live(4));
  session.onHomeUp(home);
  settle(no('store_unavailable'));
  world.pass(500);
  assert.deepEqual(
    asked.map(({ of, since }) => [of, since]),
    [['user', at(4)]],
  );
});
