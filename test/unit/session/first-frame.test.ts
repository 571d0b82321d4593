/** The first frame of a session: `Status Connect`, and the answer to the `Auth` that brought the token behind it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerReceiver } from '../../../src/session/ports.ts';
import { type RecordedTransport, SessionWorld } from '../../kit/session-world.ts';

const auth = (fields: object = {}) => ({ type: 'Auth', ...fields, data: { token: 'ann' } });

/** Operations and ids in the order in which the client gets them. */
function said(transport: RecordedTransport): [op: string | undefined, id: string | undefined][] {
  return transport.envelopes().map(({ type, id, data }) => [data.op ?? type, id]);
}

test('Auth as the first frame: Status Connect is the first frame, and Status Auth follows', () => {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  world.send(session, auth({ id: 'a' }));
  assert.deepEqual(said(transport), [
    ['Connect', undefined],
    ['Auth', 'a'],
  ]);
  assert.equal(transport.envelopes()[1]!.data.expiresAt, world.clock.wallMs() + 3_600_000);
});

test('Auth without an id is answered by Status Connect alone', () => {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  world.send(session, auth());
  assert.deepEqual(said(transport), [['Connect', undefined]]);
});

test('commands in the same frame as the first Auth are answered behind both', () => {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  world.send(session, [
    auth({ id: 'a' }),
    { type: 'Subscribe', id: 's', data: { topic: 't' } },
    { type: 'Ping', id: 'p' },
  ]);
  assert.deepEqual(said(transport), [
    ['Connect', undefined],
    ['Auth', 'a'],
    ['Subscribe', 's'],
    ['Pong', 'p'],
  ]);
});

test('while the homes have not answered Auth is not answered either', () => {
  const world = new SessionWorld();
  let home: AnswerReceiver | undefined;
  world.attach = (receiver) => {
    home = receiver;
    return { state: 'pending', correlation: 1 };
  };
  const { session, transport } = world.connect();
  world.send(session, [auth({ id: 'a' }), { type: 'Ping', id: 'p' }]);
  assert.deepEqual(said(transport), []);
  home?.onAnswer(1, { ok: true });
  world.turn();
  assert.deepEqual(said(transport), [
    ['Connect', undefined],
    ['Auth', 'a'],
    ['Pong', 'p'],
  ]);
});

test('[SES4] a later Auth is answered once, with the end of the new token, and there is no second Connect', () => {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  world.send(session, auth({ id: 'a' }));
  world.pass(1_000);
  world.send(session, auth({ id: 'b' }));
  assert.deepEqual(said(transport), [
    ['Connect', undefined],
    ['Auth', 'a'],
    ['Auth', 'b'],
  ]);
  const [, first, second] = transport.envelopes();
  assert.equal(second!.data.expiresAt - first!.data.expiresAt, 1_000);
});

test('Status Connect is the first frame also for a client that says something that is no envelope before its homes have answered', () => {
  const world = new SessionWorld();
  let home: AnswerReceiver | undefined;
  world.attach = (receiver) => {
    home = receiver;
    return { state: 'pending', correlation: 1 };
  };
  const { session, transport } = world.open();
  world.send(session, { id: 'junk' });
  home?.onAnswer(1, { ok: true });
  world.turn();
  assert.deepEqual(said(transport), [
    ['Connect', undefined],
    ['Error', 'junk'],
  ]);
});
