/** The timer wheel, case by case; test/unit/kit/timer-wheel-model.test.ts holds it against a naive model. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TimerEntry, TimerWheel } from '#kit/timer-wheel.ts';

const slotMs = 50;
/** Slots of one revolution; a deadline further away than `revolutionMs` shares its slot with an earlier one. */
const revolutionMs = 512 * slotMs;

/** An entry that notes its name when it fires. */
function noting(fired: string[], name: string, onDeadline = () => {}): TimerEntry {
  return {
    onDeadline() {
      fired.push(name);
      onDeadline();
    },
  };
}

test('a timer never fires early, and fires once', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(0, slotMs);
  wheel.schedule(1001, noting(fired, 'a'));
  for (let nowMs = 0; nowMs <= 1000; nowMs++) wheel.turn(nowMs);
  assert.deepEqual(fired, []);
  wheel.turn(1050);
  wheel.turn(1100);
  wheel.turn(1100 + revolutionMs);
  assert.deepEqual(fired, ['a']);
});

test('a timer is at most one slot late', () => {
  for (const deadlineMs of [1, 49, 50, 51, 99, 100, 12_345.678]) {
    const fired: string[] = [];
    const wheel = new TimerWheel(0, slotMs);
    wheel.schedule(deadlineMs, noting(fired, 'a'));
    wheel.turn(deadlineMs + slotMs);
    assert.deepEqual(fired, ['a'], `deadline ${deadlineMs}`);
  }
});

test('a deadline in the past fires within one slot, not never', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(10_000, slotMs);
  wheel.turn(10_020);
  wheel.schedule(3, noting(fired, 'long ago'));
  wheel.schedule(10_020, noting(fired, 'just now'));
  wheel.turn(10_020 + slotMs);
  assert.deepEqual(fired.sort(), ['just now', 'long ago']);
});

test('a cancelled timer does not fire; cancelling twice or after it fired does nothing', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(0, slotMs);
  const cancelled = wheel.schedule(100, noting(fired, 'cancelled'));
  const kept = wheel.schedule(100, noting(fired, 'kept'));
  assert.equal(wheel.size, 2);
  wheel.cancel(cancelled);
  wheel.cancel(cancelled);
  assert.equal(wheel.size, 1);
  wheel.turn(200);
  wheel.cancel(kept);
  assert.equal(wheel.size, 0);
  assert.deepEqual(fired, ['kept']);
});

test('a token tells its deadline', () => {
  assert.equal(new TimerWheel(0, slotMs).schedule(123.5, noting([], 'a')).deadlineMs, 123.5);
});

test('a timer cancelled by an earlier callback of the same turn does not fire', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(0, slotMs);
  const second: TimerEntry = noting(fired, 'second');
  const first = noting(fired, 'first', () => {
    for (const token of tokens) wheel.cancel(token);
  });
  wheel.schedule(100, first);
  const tokens = [wheel.schedule(100, second), wheel.schedule(180, second)];
  wheel.turn(1000);
  assert.deepEqual(fired, ['first']);
  assert.equal(wheel.size, 0);
});

test('turn answers how many timers fired, not how many were due', () => {
  const wheel = new TimerWheel(0, slotMs);
  const fired: string[] = [];
  wheel.schedule(
    100,
    noting(fired, 'first', () => wheel.cancel(second)),
  );
  const second = wheel.schedule(100, noting(fired, 'second'));
  assert.equal(wheel.turn(1000), fired.length);
});

test('a callback that schedules itself for now fires once per turn, not for ever', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(0, slotMs);
  const entry: TimerEntry = noting(fired, 'again', () => wheel.schedule(0, entry));
  wheel.schedule(0, entry);
  for (let turn = 1; turn <= 10; turn++) {
    assert.equal(wheel.turn(turn * slotMs), 1);
    assert.equal(wheel.size, 1);
  }
  assert.equal(wheel.turn(100 * revolutionMs), 1);
  assert.equal(fired.length, 11);
});

test('a callback can schedule into the slot that is firing: it waits for its own revolution', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(0, slotMs);
  wheel.schedule(
    100,
    noting(fired, 'first', () => wheel.schedule(100 + revolutionMs, noting(fired, 'second'))),
  );
  wheel.turn(100);
  wheel.turn(100 + revolutionMs - 1);
  assert.deepEqual(fired, ['first']);
  wheel.turn(100 + revolutionMs);
  assert.deepEqual(fired, ['first', 'second']);
});

test('deadlines many revolutions ahead share a slot and fire each in its own time', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(0, slotMs);
  for (const revolution of [3, 0, 2, 1]) {
    wheel.schedule(1000 + revolution * revolutionMs, noting(fired, `${revolution}`));
  }
  for (let nowMs = 0; nowMs <= 1000 + 3 * revolutionMs; nowMs += 25) wheel.turn(nowMs);
  assert.deepEqual(fired, ['0', '1', '2', '3']);
});

test('a thread that was away for many revolutions fires all that is due and nothing else', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(0, slotMs);
  const nowMs = 7.5 * revolutionMs;
  for (let index = 0; index < 2000; index++) wheel.schedule(index * 97, noting(fired, `${index * 97}`));
  assert.equal(wheel.turn(nowMs), fired.length);
  assert.equal(fired.length, Math.floor(nowMs / 97) + 1);
  wheel.schedule(nowMs + 10, noting(fired, 'later'));
  wheel.turn(nowMs + 9);
  assert.ok(!fired.includes('later'));
  wheel.turn(nowMs + 10 + slotMs);
  assert.ok(fired.includes('later'));
});

test('time that goes nowhere, or back, fires nothing twice and nothing early', () => {
  const fired: string[] = [];
  const wheel = new TimerWheel(1000, slotMs);
  wheel.schedule(1100, noting(fired, 'a'));
  wheel.turn(1200);
  assert.equal(wheel.turn(1200), 0);
  assert.equal(wheel.turn(900), 0);
  wheel.schedule(2000, noting(fired, 'b'));
  wheel.turn(1999);
  assert.deepEqual(fired, ['a']);
});

test('a callback that throws was taken from the wheel before: it is not called again', () => {
  const wheel = new TimerWheel(0, slotMs);
  wheel.schedule(10, {
    onDeadline() {
      throw new Error('a bug');
    },
  });
  assert.throws(() => wheel.turn(100), /a bug/);
  assert.equal(wheel.size, 0);
  assert.equal(wheel.turn(100 + 2 * revolutionMs), 0);
});
