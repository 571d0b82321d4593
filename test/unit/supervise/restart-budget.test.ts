/** How often a shard may be restarted, and how soon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RestartBudget } from '../../../src/supervise/restart-budget.ts';
import { ManualClock } from '../protect/manual-clock.ts';

const windowMs = 60_000;
/** Each twice the one before, up to two seconds; there is no ninth within a minute. */
const delaysMs = [50, 100, 200, 400, 800, 1600, 2000, 2000];
const restartsMax = delaysMs.length;
const longestMs = delaysMs.at(-1);

test('each restart within a minute waits twice as long as the one before, up to two seconds', () => {
  const budget = new RestartBudget(new ManualClock());
  assert.deepEqual(
    delaysMs.map(() => budget.take()),
    delaysMs,
  );
});

test('[SUP4] the ninth restart within a minute is refused, and so is every one after it', () => {
  const clock = new ManualClock();
  const budget = new RestartBudget(clock);
  for (let count = 0; count < restartsMax; count++) assert.notEqual(budget.take(), 'exhausted');
  assert.equal(budget.take(), 'exhausted');
  clock.advance(windowMs - 1);
  assert.equal(budget.take(), 'exhausted');
});

test('a minute after a restart it is forgotten', () => {
  const clock = new ManualClock();
  const budget = new RestartBudget(clock);
  for (let count = 0; count < restartsMax; count++) budget.take();
  clock.advance(windowMs);
  assert.equal(budget.take(), 50);
});

test('the window slides: restarts are forgotten one by one, in the order in which they were', () => {
  const clock = new ManualClock();
  const budget = new RestartBudget(clock);
  for (let count = 0; count < restartsMax; count++) {
    assert.notEqual(budget.take(), 'exhausted');
    clock.advance(1000);
  }
  clock.advance(windowMs - restartsMax * 1000);
  assert.equal(budget.take(), longestMs, 'the first is forgotten, the others are not');
  assert.equal(budget.take(), 'exhausted');
  clock.advance(1000);
  assert.equal(budget.take(), longestMs, 'the second is forgotten');
});

test('one restart a minute goes on for ever', () => {
  const clock = new ManualClock();
  const budget = new RestartBudget(clock);
  for (let count = 0; count < 1000; count++) {
    assert.equal(budget.take(), 50);
    clock.advance(windowMs);
  }
});
