/** What a session does with things that are no envelopes: answers at once, keeps none, and loses its patience. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionContext } from '../../../src/session/ports.ts';
import type { Session } from '../../../src/session/session.ts';
import { SessionWorld } from '../../kit/session-world.ts';

/** A world that remembers the highest the mailbox gauge ever was. */
function open(limits: Partial<SessionContext['limits']> = {}) {
  const world = new SessionWorld(limits);
  let [size, highest] = [0, 0];
  world.context.counters.mailbox = (change) => {
    size += change;
    highest = Math.max(highest, size);
  };
  return { world, ...world.open(), mailbox: () => ({ size, highest }) };
}

const frame = (session: Session, value: unknown) => session.onFrame(Buffer.from(JSON.stringify(value)));
const junk = (count: number) => Array.from({ length: count }, (_, index) => index);
const named = (count: number, of = '') =>
  Array.from({ length: count }, (_, index) => ({ id: `${of}${index}` }));

test('[SES4] an array of things that are no envelopes is one refusal, those with an id have their own', () => {
  const { world, session, transport } = open();
  world.send(session, [1, { id: 'a' }, 'x', { id: 'b' }, null]);
  assert.deepEqual(
    transport
      .envelopes()
      .slice(1)
      .map(({ type, id, data }) => [type, id, data.code]),
    [
      ['Error', undefined, 'bad_request'],
      ['Error', 'a', 'bad_request'],
      ['Error', 'b', 'bad_request'],
    ],
  );
});

test('[SES4] envelopes beside things that are none are handled', () => {
  const { world, session, transport } = open();
  world.send(session, [1, { type: 'Ping', id: 'p1' }, { id: 'a' }, 2, { type: 'Ping', id: 'p2' }]);
  const answers = transport
    .envelopes()
    .slice(1)
    .map(({ type, id }) => [type, id]);
  assert.deepEqual(
    answers.filter(([type]) => type === 'Pong'),
    [
      ['Pong', 'p1'],
      ['Pong', 'p2'],
    ],
  );
  assert.deepEqual(
    answers.filter(([type]) => type === 'Error'),
    [
      ['Error', undefined],
      ['Error', 'a'],
    ],
  );
});

test('things that are no envelopes never take room in the mailbox, before the session is live either', () => {
  const { world, session, mailbox } = open();
  for (let count = 0; count < 9; count++) frame(session, named(64));
  assert.deepEqual(mailbox(), { size: 0, highest: 0 });
  const { session: connecting } = world.connect();
  for (let count = 0; count < 9; count++) frame(connecting, named(64));
  assert.deepEqual(mailbox(), { size: 0, highest: 0 });
});

for (const [name, value] of [
  ['an array without ids', junk(64)],
  ['an array with ids', named(64)],
  ['one thing', {}],
  ['an empty array', []],
  ['too large an array', junk(65)],
] as [string, object][]) {
  test(`ten frames in a row of ${name} close with 4502, nine do not`, () => {
    const { world, session, transport } = open();
    for (let count = 0; count < 9; count++) world.send(session, value);
    assert.equal(transport.closed?.code, undefined);
    world.send(session, value);
    assert.equal(transport.closed?.code, 4502);
  });
}

test('one frame of many things that are no envelopes does not close, however many there are', () => {
  const { world, session, transport } = open();
  world.send(session, named(64));
  assert.equal(transport.closed?.code, undefined);
  assert.equal(transport.envelopes().length, 1 + 64);
});

test('a frame with an envelope in it, a refused one too, ends the row', () => {
  const { world, session, transport } = open();
  for (const good of [{ type: 'Ping' }, { type: 'Nope' }, { type: 'Subscribe', data: {} }]) {
    for (let count = 0; count < 9; count++) world.send(session, junk(3));
    world.send(session, [1, good, 2]);
  }
  assert.equal(transport.closed?.code, undefined);
  for (let count = 0; count < 10; count++) world.send(session, junk(3));
  assert.equal(transport.closed?.code, 4502);
});

test('things that are no envelopes count against the rate, and one who goes on is closed with 4005', () => {
  const { world, session, transport } = open({ envelopeRate: { permits: 10, intervalMs: 60_000, burst: 5 } });
  world.send(session, named(15, 'a'));
  world.send(session, [{ type: 'Ping', id: 'p' }, ...named(5, 'b')]);
  const codes = transport
    .envelopes()
    .slice(1)
    .map(({ id, data }) => [id, data.code] as [string, string]);
  const refusedFor = (code: string) => codes.filter(([, given]) => given === code).map(([id]) => id);
  assert.deepEqual(
    refusedFor('bad_request'),
    named(15, 'a').map(({ id }) => id),
  );
  assert.deepEqual(refusedFor('rate_limited').sort(), ['b0', 'b1', 'b2', 'b3', 'b4', 'p']);
  for (let count = 0; count < 2; count++) world.send(session, [{ type: 'Ping' }, ...named(63)]);
  assert.equal(transport.closed?.code, 4005);
});

test('an array without ids counts against the rate as the one refusal that it is', () => {
  const { world, session, transport } = open({ envelopeRate: { permits: 3, intervalMs: 60_000, burst: 0 } });
  for (let count = 0; count < 3; count++) world.send(session, junk(64));
  world.send(session, { type: 'Ping', id: 'p' });
  assert.deepEqual(
    transport
      .envelopes()
      .slice(1)
      .map(({ data }) => data.code),
    ['bad_request', 'bad_request', 'bad_request', 'rate_limited'],
  );
});
