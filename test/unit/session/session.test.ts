/** The actor of a connection, in one thread, with the time in hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '#proto/error-codes.ts';
import type { AnswerReceiver } from '../../../src/session/ports.ts';
import { SessionWorld } from '../../kit/session-world.ts';

const publish = { type: 'Broadcast', id: 'b1', data: { topic: 'a', payload: 1 } };

test('[SES2] a handler that throws ends its own session with 4007 and leaves the others alone', () => {
  const world = new SessionWorld();
  const [broken, whole] = [world.open('broken'), world.open('whole')];
  const bug = new Error('a bug');
  const sane = world.publish;
  world.publish = () => {
    throw bug;
  };
  world.send(broken.session, publish);
  world.publish = sane;
  world.send(whole.session, publish);
  const error = broken.transport.envelopes().at(-1)!;
  assert.deepEqual([error.type, error.id, error.data.code], ['Error', 'b1', 'internal']);
  assert.match(error.data.message, /correlation-1/);
  assert.doesNotMatch(JSON.stringify(error), /a bug|\.ts/);
  assert.equal(broken.transport.closed?.code, 4007);
  assert.deepEqual(world.failures, [bug]);
  assert.equal(whole.transport.closed, undefined);
  assert.equal(whole.transport.envelopes().at(-1)!.type, 'Status');
});

test('[SES4] a command whose home is elsewhere is answered when the home answers, once', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  world.publish = () => ({ state: 'pending', correlation: 7 });
  world.send(session, publish);
  assert.equal(transport.envelopes().filter((envelope) => envelope.id === 'b1').length, 0);
  for (let times = 0; times < 2; times++)
    session.onAnswer(7, { ok: true, messageId: 'm-7' as never, isDuplicate: false });
  world.turn();
  const replies = transport.envelopes().filter((envelope) => envelope.id === 'b1');
  assert.deepEqual(
    replies.map((envelope) => envelope.data),
    [{ op: 'Broadcast', messageId: 'm-7', topic: 'a' }],
  );
});

test('too many commands on their way are refused as busy', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  let correlation = 0;
  world.publish = () => ({ state: 'pending', correlation: ++correlation });
  for (let index = 0; index < 1025; index++) world.send(session, { ...publish, id: `b${index}` });
  const replies = transport.envelopes().filter((envelope) => envelope.type === 'Error');
  assert.deepEqual(
    replies.map((envelope) => [envelope.id, envelope.data.code]),
    [['b1024', 'busy']],
  );
});

test('[SES5] a full mailbox pauses the connection and goes on when there is room', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  for (let index = 0; index < 300; index++)
    session.onFrame(Buffer.from(JSON.stringify({ type: 'Ping', id: `p${index}` })));
  assert.equal(transport.isPaused, true);
  assert.equal(world.count('mailbox paused'), 1);
  assert.equal(world.count('mailbox'), 300);
  world.turn();
  assert.equal(transport.isPaused, false);
  assert.equal(world.count('mailbox'), 0);
  assert.equal(transport.envelopes().filter((envelope) => envelope.type === 'Pong').length, 300);
});

test('[SES5] beyond the mailbox nothing is lost silently: each one is refused as busy', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  const pings = Array.from({ length: 64 }, (_, index) => ({ type: 'Ping', id: `p${index}` }));
  for (let frame = 0; frame < 129; frame++) session.onFrame(Buffer.from(JSON.stringify(pings)));
  world.turn();
  const types = transport
    .envelopes()
    .slice(1)
    .map((envelope) => envelope.type);
  assert.equal(types.filter((type) => type === 'Pong').length, 8192);
  assert.equal(types.filter((type) => type === 'Error').length, 129 * 64 - 8192);
});

test('[SES3] an outbox over its limit closes with 4002 and gives up what waits', () => {
  const world = new SessionWorld({ outboxBytesMax: 10_000 });
  const { session, transport } = world.open();
  const before = transport.written.length;
  transport.stuckBytes = 9_000;
  session.deliver(new Uint8Array(900), 1, 'normal');
  session.deliver(new Uint8Array(200), 1, 'normal');
  world.turn();
  assert.equal(transport.closed?.code, 4002);
  assert.equal(transport.written.length, before);
  assert.equal(world.count('outbox'), 0);
  assert.equal(world.count('slow'), 1);
  session.deliver(new Uint8Array(1), 1, 'normal');
  assert.equal(world.count('outbox'), 0);
});

test('[FAN2] what several topics deliver in one turn is one write', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  const before = transport.written.length;
  for (let index = 0; index < 5; index++) session.deliver(new Uint8Array([index]), 1, 'normal');
  world.turn();
  assert.equal(transport.written.length, before + 1);
  assert.deepEqual(
    transport.written.at(-1)!.map((frame) => frame[0]),
    [0, 1, 2, 3, 4],
  );
});

test('without a token only Auth and Ping are heard, and after ten seconds nothing', () => {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  world.send(session, { type: 'Ping', id: 'p' });
  world.send(session, { type: 'Subscribe', id: 's', data: { topic: 'a' } });
  assert.deepEqual(
    transport.envelopes().map((envelope) => [envelope.type, envelope.data.code]),
    [
      ['Pong', undefined],
      ['Error', 'unauthorized'],
    ],
  );
  const authenticated = world.connect();
  world.send(authenticated.session, { type: 'Auth', id: 'a', data: { token: 'ann' } });
  assert.deepEqual(
    authenticated.transport.envelopes().map((envelope) => envelope.data.op),
    ['Connect', 'Auth'],
  );
  world.pass(10_100);
  assert.equal(transport.closed?.code, 4500);
  assert.equal(authenticated.transport.closed, undefined);
});

test('envelopes sent before the homes have answered wait, and are handled in order', () => {
  const world = new SessionWorld();
  let home: AnswerReceiver | undefined;
  world.attach = (receiver) => {
    home = receiver;
    return { state: 'pending', correlation: 1 };
  };
  const { session, transport } = world.open();
  world.send(session, { type: 'Ping', id: 'p1' });
  world.send(session, { type: 'Ping', id: 'p2' });
  assert.deepEqual(transport.envelopes(), []);
  home?.onAnswer(1, { ok: true });
  world.turn();
  assert.deepEqual(
    transport.envelopes().map((envelope) => envelope.id ?? envelope.data.op),
    ['Connect', 'p1', 'p2'],
  );
});

test('[SES1] a home that is busy is asked again until it answers', () => {
  const world = new SessionWorld();
  let asked = 0;
  world.attach = () => {
    asked++;
    return {
      state: 'answered',
      answer: asked < 3 ? { ok: false, refusal: refusal('busy', 'restarting') } : { ok: true },
    };
  };
  const { transport } = world.open();
  world.pass(2_000);
  assert.equal(asked, 3);
  assert.equal(transport.envelopes()[0]!.data.op, 'Connect');
});

test('a user with too many connections hears why and is closed with 4501', () => {
  const world = new SessionWorld();
  world.attach = () => ({
    state: 'answered',
    answer: { ok: false, refusal: refusal('limit_exceeded', 'the user has 50 connections already') },
  });
  const { transport } = world.open();
  assert.equal(transport.envelopes()[0]!.data.code, 'limit_exceeded');
  assert.equal(transport.closed?.code, 4501);
});

test('pings are sent, silence closes with 4003, and any sign of life counts', () => {
  const world = new SessionWorld();
  const [silent, living] = [world.open('silent'), world.open('living')];
  for (let index = 0; index < 3; index++) {
    world.pass(25_000);
    living.session.onHeard();
  }
  assert.equal(silent.transport.closed?.code, 4003);
  assert.ok(silent.transport.pingCount >= 1);
  assert.equal(living.transport.closed, undefined);
  assert.equal(world.timers.size, 1);
});

test('a token that ends is announced, replaced by Auth, or closes with 4006', () => {
  const world = new SessionWorld();
  const [careless, careful] = [world.open('careless', 40_000), world.open('careful', 40_000)];
  world.pass(11_000);
  for (const { transport } of [careless, careful])
    assert.equal(transport.envelopes().at(-1)!.data.event, 'token_expiring');
  world.send(careful.session, { type: 'Auth', id: 'a', data: { token: 'careful' } });
  careless.session.onHeard();
  world.pass(29_500);
  assert.equal(careless.transport.closed?.code, 4006);
  assert.equal(careful.transport.closed, undefined);
  world.send(careful.session, { type: 'Auth', id: 'b', data: { token: 'somebody-else' } });
  assert.equal(careful.transport.envelopes().at(-1)!.data.code, 'permission_denied');
});

test('a closed session leaves nothing behind: no subscription, no timer, no counted bytes', () => {
  const world = new SessionWorld();
  const { session } = world.open();
  for (const topic of ['a', 'b', 'c']) world.send(session, { type: 'Subscribe', data: { topic } });
  assert.equal(world.count('subscriptions'), 3);
  session.onFrame(Buffer.from(JSON.stringify({ type: 'Ping' })));
  session.onTransportClosed(1006);
  session.onTransportClosed(1006);
  world.turn();
  assert.equal(world.timers.size, 0);
  assert.deepEqual(
    ['subscriptions', 'mailbox', 'outbox', 'closed', 'detached'].map((name) => world.count(name)),
    [0, 0, 0, 1, 1],
  );
  assert.deepEqual(
    [...world.subscribers.lanes()].map(([, lane]) => lane.subscribers.size),
    [0, 0, 0, 0],
  );
});

test('frames after the close are not handled', () => {
  const world = new SessionWorld();
  const { session, transport } = world.open();
  session.close('going_away');
  const written = transport.written.length;
  world.send(session, { type: 'Ping', id: 'p' });
  assert.equal(transport.written.length, written);
  assert.equal(world.count('mailbox'), 0);
});
