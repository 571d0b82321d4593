/** The timer of a shard: the earliest turn that something asked for is the one that comes. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { DutyCycle } from '../../../src/shard/duty-cycle.ts';
import { ManualClock } from '../../kit/session-world.ts';

const flushIntervalMs = 1000;

/** A busy shard with `news` waiting for its window, and rings that are full when told so. */
async function busyCycle(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const clock = new ManualClock();
  const calls: string[] = [];
  const rings = { hasBacklog: false, turns: 0 };
  const duty = new DutyCycle({
    clock,
    flushIntervalMs,
    readRings: () => false,
    flushRings: () => void rings.turns++,
    hasRingBacklog: () => rings.hasBacklog,
    trySleep: () => true,
    onTick: () => {},
    onFlush: () => {},
    onFailure: (error) => assert.fail(error as Error),
  });
  t.after(() => duty.stop());
  const topic = (name: string) => ({ flush: () => void calls.push(name) });
  for (let index = 0; index < 100_000; index++) duty.onWrite();
  duty.requestFlush(topic('before'), 'window');
  await turnOfTheLoop();
  duty.requestFlush(topic('news'), 'window');
  await turnOfTheLoop();
  assert.deepEqual(calls, ['before'], 'the shard is busy: the window is open');
  const pass = (ms: number) => {
    clock.nowMs += ms;
    t.mock.timers.tick(ms);
  };
  return { duty, calls, rings, pass };
}

test('[RNG4] a ring backlog is tried again after a millisecond, although a topic waits for a longer window', async (t) => {
  const { duty, calls, rings, pass } = await busyCycle(t);
  rings.hasBacklog = true;
  duty.wake();
  await turnOfTheLoop();
  const before = rings.turns;
  pass(1);
  assert.equal(rings.turns, before + 1);
  pass(1);
  assert.equal(rings.turns, before + 2, 'and again, while it is full');
  assert.deepEqual(calls, ['before'], 'the topic still waits');
});

test('the window that an earlier turn cut short is waited for to its end', async (t) => {
  const { duty, calls, rings, pass } = await busyCycle(t);
  rings.hasBacklog = true;
  duty.wake();
  await turnOfTheLoop();
  rings.hasBacklog = false;
  pass(1);
  const before = rings.turns;
  assert.deepEqual(calls, ['before']);
  pass(flushIntervalMs - 2);
  assert.deepEqual([calls, rings.turns], [['before'], before], 'nothing is due before its time');
  pass(1);
  assert.deepEqual(calls, ['before', 'news']);
});

test('a turn that comes for another reason neither loses nor doubles the timer', async (t) => {
  const { duty, calls, rings, pass } = await busyCycle(t);
  for (let index = 0; index < 5; index++) {
    duty.wake();
    await turnOfTheLoop();
  }
  const before = rings.turns;
  pass(flushIntervalMs);
  assert.deepEqual([calls, rings.turns], [['before', 'news'], before + 1]);
});
