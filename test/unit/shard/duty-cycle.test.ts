/** When a shard flushes: at once when idle, together when busy, urgent ones first. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { Row } from '../../../src/session/ports.ts';
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
      row: 'ready' as const,
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

/** `count` slices of `costMs` each in a row behind the others. */
function waiting(
  order: string[],
  clock: ManualClock,
  { row = 'deferred', count, costMs }: { row?: Row; count: number; costMs: number },
) {
  return Array.from({ length: count }, (_, index) => ({
    row,
    runSlice() {
      order.push(`${row} ${index}`);
      clock.nowMs += costMs;
      return false;
    },
  }));
}

test('what is deferred gets a small share of each turn, in its order, behind the sessions', async () => {
  const { clock, duty } = cycle();
  const order: string[] = [];
  for (const work of waiting(order, clock, { count: 5, costMs: 0.4 })) duty.requestSlice(work);
  const session = { row: 'ready' as const, runSlice: () => order.push('session') === 0 };
  duty.requestSlice(session);
  await turnOfTheLoop();
  assert.deepEqual(order, ['session', 'deferred 0', 'deferred 1', 'deferred 2']);
  duty.requestSlice(session);
  await turnOfTheLoop();
  assert.deepEqual(order.slice(4), ['session', 'deferred 3', 'deferred 4']);
  duty.stop();
});

test('those who subscribe get a share of every turn, behind everyone else who is connected, and before newcomers', async () => {
  const { clock, duty } = cycle();
  const order: string[] = [];
  for (let index = 0; index < 2000; index++) duty.onWrite(); // also of a busy shard
  for (const work of waiting(order, clock, { count: 2, costMs: 0.9 })) duty.requestSlice(work);
  for (const work of waiting(order, clock, { row: 'joining', count: 5, costMs: 0.4 }))
    duty.requestSlice(work);
  const session = { row: 'ready' as const, runSlice: () => order.push('session') === 0 };
  duty.requestSlice(session);
  await turnOfTheLoop();
  const joins = [0, 1, 2, 3, 4].map((index) => `joining ${index}`);
  assert.deepEqual(order.slice(0, 4), ['session', ...joins.slice(0, 3)]);
  duty.requestSlice(session);
  await turnOfTheLoop();
  const behind = order.filter((name) => !name.startsWith('deferred'));
  assert.deepEqual(behind, ['session', ...joins.slice(0, 3), 'session', ...joins.slice(3)]);
  duty.stop();
});

test('a busy shard gives it one share per flush interval, and forgets none', async () => {
  const { clock, duty } = cycle();
  const order: string[] = [];
  for (let index = 0; index < 2000; index++) duty.onWrite();
  const work = waiting(order, clock, { count: 4, costMs: 0.6 });
  duty.requestFlush({ flush() {} }, 'window');
  await turnOfTheLoop(); // now it knows of the writes
  for (const each of work) duty.requestSlice(each);
  await turnOfTheLoop();
  assert.deepEqual(order, ['deferred 0', 'deferred 1']);
  duty.wake();
  await turnOfTheLoop();
  assert.equal(order.length, 2);
  clock.nowMs += 5;
  duty.wake();
  await turnOfTheLoop();
  assert.deepEqual(order.slice(2), ['deferred 2', 'deferred 3']);
  duty.stop();
});
