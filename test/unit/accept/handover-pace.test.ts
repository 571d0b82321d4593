/** A burst of accepted sockets: the first at once, the rest in their order, none lost, and not without bound. */
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { HandoverPace } from '../../../src/accept/handover-pace.ts';

function burst(t: TestContext, count: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const passed: Socket[] = [];
  const pace = new HandoverPace(2, (socket) => passed.push(socket));
  const sockets = Array.from({ length: count }, () => new Socket());
  for (const socket of sockets) pace.push(socket);
  return { passed, sockets, tick: () => t.mock.timers.tick(4) };
}

test('the first sockets of a burst are passed on at once, the others in their order, sixteen a shard every four milliseconds', (t) => {
  const { passed, sockets, tick } = burst(t, 80);
  assert.equal(passed.length, 32);
  tick();
  assert.equal(passed.length, 64);
  tick();
  assert.deepEqual(passed, sockets);
});

test('after a pause the next ones are passed on at once again', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const passed: Socket[] = [];
  const pace = new HandoverPace(1, (socket) => passed.push(socket));
  for (let round = 1; round <= 3; round++) {
    for (let count = 0; count < 16; count++) pace.push(new Socket());
    assert.equal(passed.length, 16 * round);
    t.mock.timers.tick(4);
  }
});

test('past the bound a socket is destroyed, and those that wait are not', (t) => {
  const { sockets } = burst(t, 32 + 16_384 + 1);
  assert.equal(sockets.at(-1)?.destroyed, true);
  assert.equal(
    sockets.some((socket) => socket !== sockets.at(-1) && socket.destroyed),
    false,
  );
});
