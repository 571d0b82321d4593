/** The fuzz's own world works as a server does, and claims of sessions that fuzzing has put in doubt. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { clientData } from '#proto/data.ts';
import { type Encoding, encodings } from '#proto/envelope.ts';
import { tokenOf } from '../kit/test-server.ts';
import { pack } from '../unit/wire/msgpack-bytes.ts';
import { collectGarbage } from './collect-garbage.ts';
import { lostSession, storedIds } from './corpus.ts';
import { type Received, readFrames } from './read-frames.ts';
import { SessionWorld } from './session-world.ts';

function say(world: SessionWorld, encoding: Encoding, envelope: object): Received[] {
  world.receive(encoding === 'json' ? Buffer.from(JSON.stringify(envelope)) : pack(envelope));
  return readFrames(world.takeWritten(), encoding);
}

for (const encoding of encodings) {
  test(`a session in the fuzz's world takes every command and is answered, in ${encoding}`, () => {
    const world = new SessionWorld(encoding, undefined, 1);
    const token = tokenOf('ann', { roles: ['admin'] });
    const [connected, authenticated] = say(world, encoding, { type: 'Auth', id: 'c0', data: { token } });
    assert.deepEqual([connected!.data['op'], authenticated!.data['op']], ['Connect', 'Auth']);
    const lost = { sessionId: lostSession.session, resumeToken: lostSession.resumeToken };
    // In two topics it is a member again, and two users are told of.
    const presences = ['Presence', 'Presence', 'Presence', 'Presence'];
    const missed = ['Broadcast', 'Broadcast', 'Broadcast'];
    const commands: [type: string, data: object, answers: string[]][] = [
      ['Ping', { a: 1 }, ['Pong']],
      ['Subscribe', { topic: 'a', filter: { 'payload.n': { gte: 1 } } }, ['Status']],
      ['Broadcast', { topic: 'a', payload: { n: 1 } }, ['Status', 'Broadcast']],
      ['Broadcast', { topic: 'a', payload: { n: 0 } }, ['Status']],
      ['Broadcast', { payload: 'to everyone' }, ['Status', 'Broadcast']],
      ['DirectMessage', { to: 'ann', payload: 1 }, ['Status']],
      ['History', { topic: 'a', limit: 1 }, ['Status']],
      ['Unsubscribe', { topic: 'a' }, ['Status']],
      ['Subscribe', { topic: 'chat:lobby', since: { offset: 5, epoch: 'e1' } }, ['Status', ...missed]],
      ['Search', { query: 'hi' }, ['Status']],
      ['Edit', { messageId: storedIds[0], payload: 1 }, ['Status', 'Edited']],
      ['Delete', { messageId: storedIds[0] }, ['Status', 'Deleted']],
      ['DeliveryStatus', { messageId: storedIds[1] }, ['Status']],
      ['Typing', { topic: 'chat:lobby', active: true }, ['Status', 'Typing']],
      ['Typing', { to: 'ann', active: true }, ['Status', 'Typing']],
      ['Subscribe', { topic: 'b', presence: true }, ['Status', 'Presence']],
      ['Presence', { status: 'busy' }, ['Status', 'Presence']],
      ['PresenceSubscribe', { users: ['ann', 'ben'] }, ['Status']],
      ['Presence', { status: 'away' }, ['Status', 'Presence', 'Presence']],
      ['PresenceUnsubscribe', { users: ['ann', 'ben'] }, ['Status']],
      ['PresenceQuery', { topic: 'b' }, ['Status']],
      ['Unsubscribe', { topic: 'b' }, ['Status']],
      ['Unsubscribe', { topic: 'chat:lobby' }, ['Status']],
      ['Resume', lost, ['Status', ...missed, ...missed, 'Edited', 'Deleted', ...presences]],
      ['Ack', { topic: 'inbox:ann', offset: 1 }, ['Status']],
      ['Ack', { topic: 'chat:lobby', offset: 9 }, ['Status', 'Receipt']],
      ['Read', { topic: 'chat:lobby', offset: 9 }, ['Status', 'Receipt']],
    ];
    assert.deepEqual(
      [...new Set(commands.map(([type]) => type)), 'Auth'].sort(),
      Object.keys(clientData).sort(),
      'no command is left out',
    );
    for (const [index, [type, data, answers]] of commands.entries()) {
      const received = say(world, encoding, { type, id: `c${index + 1}`, data });
      assert.deepEqual(received.map((message) => message.type).sort(), answers.sort(), type);
    }
    assert.equal(world.closed, undefined);
    assert.deepEqual(world.failures, []);
  });
}

test('nobody chooses the sender of their message: a field `from` of the client is ignored', () => {
  const world = new SessionWorld('json', tokenOf('mallory', { roles: ['admin'] }), 1);
  say(world, 'json', { type: 'Subscribe', id: 'c1', data: { topic: 'a' } });
  const broadcast = say(world, 'json', {
    type: 'Broadcast',
    id: 'c2',
    data: { topic: 'a', payload: 1, from: 'ann' },
  });
  assert.equal(broadcast.find(({ type }) => type === 'Broadcast')!.data['from'], 'mallory');
});

/** How many of fifty worlds are still in memory after `end` has closed their sessions. */
async function rememberedAfter(end: (world: SessionWorld, index: number) => void): Promise<number> {
  const worlds = Array.from({ length: 50 }, (_, index) => {
    const world = new SessionWorld('json', undefined, index);
    end(world, index);
    assert.notEqual(world.closed, undefined);
    return new WeakRef(world);
  });
  const remembered = () => worlds.filter((world) => world.deref() !== undefined).length;
  // What is being compiled in the background holds on to what it saw: ask again.
  for (let round = 0; round < 50; round++) {
    await setImmediate();
    collectGarbage();
    await setImmediate();
    if (remembered() === 0) break;
  }
  return remembered();
}

test('a session that was closed is forgotten with its connection', async () => {
  const remembered = await rememberedAfter((world) => {
    for (let frame = 0; frame < 10; frame++) world.receive(Buffer.from('garbage'));
  });
  assert.ok(remembered <= 2, `${remembered} of 50`);
});

test('a session that was refused for its token is forgotten as well', async () => {
  const remembered = await rememberedAfter((world, index) => {
    const token = tokenOf(`user-${index}`, {}, 1000, 'the secret of another server, long enough');
    world.receive(Buffer.from(JSON.stringify({ type: 'Auth', data: { token } })));
  });
  assert.ok(remembered <= 2, `${remembered} of 50`);
});
