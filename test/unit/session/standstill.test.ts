/** A thread, or a whole process, that stood still: what its clients said meanwhile counts, and who is silent is asked first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionWorld } from '../../kit/session-world.ts';

/** The clock goes on, and nothing runs; then the timers do, before any socket is read. */
function standStill(world: SessionWorld, ms: number): void {
  world.clock.nowMs += ms;
  world.timers.turn(world.clock.nowMs);
  world.turn();
}

for (const stillMs of [30_200, 30_700, 45_000, 600_000]) {
  test(`after ${stillMs} ms a client is asked, and lives when it answers in the time that it always has`, () => {
    const world = new SessionWorld();
    const { session, transport } = world.open();
    world.pass(29_900); // a moment before it would be asked
    standStill(world, stillMs);
    world.pass(2_000); // a ping due is one of several things that are
    assert.equal(transport.closed, undefined);
    assert.ok(transport.pingCount > 0);
    world.pass(25_000);
    session.onPong();
    world.pass(35_000);
    assert.equal(transport.closed, undefined);
  });
}

test('who does not answer is closed in the end', () => {
  const world = new SessionWorld();
  const { transport } = world.open();
  standStill(world, 600_000);
  world.pass(29_000);
  const early = transport.closed;
  world.pass(2_000);
  assert.deepEqual([early, transport.closed?.code], [undefined, 4003]);
});

test('a token that came in time, and was not read yet, is read before its time counts', () => {
  const world = new SessionWorld();
  const { session, transport } = world.connect();
  standStill(world, 60_000);
  world.send(session, { type: 'Auth', id: '1', data: { token: 'ann' } });
  world.pass(1_000);
  assert.equal(transport.closed, undefined);
  assert.equal(session.isLive, true);
});

test('who sends no token is closed after a standstill as well', () => {
  const world = new SessionWorld();
  const { transport } = world.connect();
  standStill(world, 60_000);
  world.pass(200);
  assert.equal(transport.closed?.code, 4500);
});
