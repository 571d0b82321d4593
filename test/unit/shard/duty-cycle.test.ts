/** When a shard flushes: at once when idle, together when busy, urgent ones first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import { DutyCycle } from '../../../src/shard/duty-cycle.ts';
import { ManualClock } from '../../kit/session-world.ts';

function cycle() {
  const clock = new ManualClock();
  const calls: string[] = [];
  const duty = new DutyCycle({
    clock,
    flushIntervalMs: 5,
    readRings: () => false,
    flushRings: () => void calls.push('rings'),
    hasRingBacklog: () => false,
    trySleep: () => true,
    onTick: () => {},
    onFlush: () => void calls.push('outboxes'),
    onFailure: () => void calls.push('failure'),
  });
  const topic = (name: string) => ({ flush: () => void calls.push(name) });
  return { clock, calls, duty, topic };
}

const write = { write: () => {} };

test('an idle shard flushes a topic at the end of the same turn', async () => {
  const { calls, duty, topic } = cycle();
  duty.requestFlush(topic('news'), 'window');
  assert.deepEqual(calls, []);
  await turnOfTheLoop();
  assert.deepEqual(calls, ['news', 'rings']);
  duty.stop();
});

test('a busy shard lets topics wait for company, but not urgent ones', async () => {
  const { clock, calls, duty, topic } = cycle();
  for (let index = 0; index < 2000; index++) duty.onWrite();
  duty.requestWrite(write);
  duty.requestFlush(topic('first'), 'window');
  await turnOfTheLoop();
  duty.requestFlush(topic('second'), 'window');
  duty.requestFlush(topic('alarm'), 'now');
  await turnOfTheLoop();
  assert.deepEqual(
    calls.filter((call) => call !== 'rings'),
    ['first', 'outboxes', 'alarm'],
  );
  clock.nowMs += 5;
  duty.wake();
  await turnOfTheLoop();
  assert.equal(calls.includes('second'), true);
  duty.stop();
});

test('lazy topics wait for their window, whatever the load', async () => {
  const { clock, calls, duty, topic } = cycle();
  duty.requestFlush(topic('statistics'), 'lazy');
  await turnOfTheLoop();
  assert.equal(calls.includes('statistics'), false);
  clock.nowMs += 100;
  duty.wake();
  await turnOfTheLoop();
  assert.equal(calls.includes('statistics'), true);
  duty.stop();
});

test('each session gets its slice before one gets its second', async () => {
  const { duty } = cycle();
  const order: string[] = [];
  const session = (name: string, slices: number) => {
    let left = slices;
    return {
      isDeferrable: false,
      runSlice() {
        order.push(name);
        return --left > 0;
      },
    };
  };
  duty.requestSlice(session('greedy', 3));
  duty.requestSlice(session('modest', 1));
  for (let index = 0; index < 4; index++) await turnOfTheLoop();
  assert.deepEqual(order, ['greedy', 'modest', 'greedy', 'greedy']);
  duty.stop();
});

/** `count` slices of `costMs` each that nobody connected waits for. */
function deferrable(
  order: string[],
  clock: ManualClock,
  { count, costMs }: { count: number; costMs: number },
) {
  return Array.from({ length: count }, (_, index) => ({
    isDeferrable: true,
    runSlice() {
      order.push(`newcomer ${index}`);
      clock.nowMs += costMs;
      return false;
    },
  }));
}

test('what is deferrable gets a small share of each turn, in its order, behind the sessions', async () => {
  const { clock, duty } = cycle();
  const order: string[] = [];
  for (const work of deferrable(order, clock, { count: 5, costMs: 0.4 })) duty.requestSlice(work);
  const session = { isDeferrable: false, runSlice: () => order.push('session') === 0 };
  duty.requestSlice(session);
  await turnOfTheLoop();
  assert.deepEqual(order, ['session', 'newcomer 0', 'newcomer 1', 'newcomer 2']);
  duty.requestSlice(session);
  await turnOfTheLoop();
  assert.deepEqual(order.slice(4), ['session', 'newcomer 3', 'newcomer 4']);
  duty.stop();
});

test('a busy shard gives it one share per flush interval, and forgets none', async () => {
  const { clock, duty } = cycle();
  const order: string[] = [];
  for (let index = 0; index < 2000; index++) duty.onWrite();
  const work = deferrable(order, clock, { count: 4, costMs: 0.6 });
  duty.requestFlush({ flush() {} }, 'window');
  await turnOfTheLoop(); // now it knows of the writes
  for (const each of work) duty.requestSlice(each);
  await turnOfTheLoop();
  assert.deepEqual(order, ['newcomer 0', 'newcomer 1']);
  duty.wake();
  await turnOfTheLoop();
  assert.equal(order.length, 2);
  clock.nowMs += 5;
  duty.wake();
  await turnOfTheLoop();
  assert.deepEqual(order.slice(2), ['newcomer 2', 'newcomer 3']);
  duty.stop();
});
