/** Sessions whose time is over are forgotten in bites, while the database is there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionSweep } from '../../../src/store/session-sweep.ts';
import { eventually } from '../../kit/eventually.ts';
import { ManualClock } from '../protect/manual-clock.ts';

/** A store with so many sessions that are over. */
function sweepOf(overCount: number, onBite: () => void = () => {}) {
  const asked: { nowMs: number; limit: number }[] = [];
  const failures: unknown[] = [];
  const world = { isUp: true, left: overCount, asked, failures };
  const sweep = new SessionSweep({
    store: {
      sweepSessions: async (request) => {
        asked.push(request);
        onBite();
        const count = Math.min(request.limit, world.left);
        world.left -= count;
        return count;
      },
    },
    clock: new ManualClock(),
    isUp: () => world.isUp,
    onFailure: (error) => failures.push(error),
  });
  return { sweep, world };
}

test('a round takes all that is over, in bites', async () => {
  const { sweep, world } = sweepOf(1_200);
  await sweep.round();
  assert.deepEqual([world.asked.length, world.left], [3, 0]);
  assert.equal(new Set(world.asked.map(({ nowMs }) => nowMs)).size, 1);
});

test('nothing is asked of a database that is away, and a round ends when it goes away', async () => {
  const { sweep, world } = sweepOf(2_000, () => {
    world.isUp = world.asked.length < 2;
  });
  world.isUp = false;
  await sweep.round();
  assert.equal(world.asked.length, 0);
  world.isUp = true;
  await sweep.round();
  assert.deepEqual([world.asked.length, world.left], [2, 1_000]);
});

test('a sweep that was stopped goes no further', async () => {
  const { sweep, world } = sweepOf(2_000, () => sweep.stop());
  await sweep.round();
  assert.equal(world.asked.length, 1);
});

test('a round comes every minute, and one that fails is told and does not keep the next from coming', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const { sweep, world } = sweepOf(1, () => {
    if (world.asked.length === 1) throw new Error('the disk is gone');
  });
  sweep.start();
  context.mock.timers.tick(60_000);
  await eventually('it is told', () => world.failures.length === 1);
  context.mock.timers.tick(60_000);
  await eventually('it is swept', () => world.left === 0);
  sweep.stop();
  context.mock.timers.tick(120_000);
  assert.equal(world.asked.length, 2);
});
