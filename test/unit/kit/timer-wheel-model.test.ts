/** The timer wheel against a naive list of timers, under random operations. Failures print the seed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#kit/random.ts';
import { type TimerToken, TimerWheel } from '#kit/timer-wheel.ts';

interface ModelTimer {
  token: TimerToken;
  deadlineMs: number;
  scheduledAtMs: number;
  state: 'waiting' | 'fired' | 'cancelled';
}

/** A wheel and the list that says what it must do. */
class Model {
  readonly #random: Random;
  readonly #slotMs: number;
  readonly #wheel: TimerWheel;
  readonly #timers: ModelTimer[] = [];
  #nowMs: number;
  #firedCount = 0;

  constructor(random: Random, slotMs: number) {
    this.#random = random;
    this.#slotMs = slotMs;
    this.#nowMs = random.next() * 1e6;
    this.#wheel = new TimerWheel(this.#nowMs, slotMs);
  }

  get firedCount(): number {
    return this.#firedCount;
  }

  step(): void {
    const draw = this.#random.next();
    if (draw < 0.5) this.#schedule();
    else if (draw < 0.65) this.#cancel();
    else this.#turn();
    assert.equal(this.#wheel.size, this.#waiting().length, 'size counts the waiting timers');
  }

  /** Until nothing waits. */
  finish(): void {
    while (this.#waiting().length > 0) {
      this.#nowMs = Math.max(this.#nowMs, ...this.#waiting().map((timer) => timer.deadlineMs)) + this.#slotMs;
      this.#turnNow();
    }
    assert.equal(this.#wheel.size, 0);
    assert.equal(this.#wheel.turn(this.#nowMs + 1e9), 0, 'nothing is left to fire');
  }

  #schedule(): void {
    const range = this.#random.next() < 0.8 ? 600 : 3 * 512;
    const aheadMs = (this.#random.next() * 1.05 - 0.05) * range * this.#slotMs;
    const timer: ModelTimer = {
      deadlineMs: Math.max(0, this.#nowMs + aheadMs),
      scheduledAtMs: this.#nowMs,
      state: 'waiting',
      token: { deadlineMs: 0 },
    };
    timer.token = this.#wheel.schedule(timer.deadlineMs, { onDeadline: () => this.#onDeadline(timer) });
    this.#timers.push(timer);
  }

  #onDeadline(timer: ModelTimer): void {
    assert.equal(timer.state, 'waiting', 'fires once, and not after it was cancelled');
    assert.ok(timer.deadlineMs <= this.#nowMs, `never early: ${timer.deadlineMs} at ${this.#nowMs}`);
    timer.state = 'fired';
    this.#firedCount++;
    const draw = this.#random.next();
    if (draw < 0.15) this.#schedule();
    else if (draw < 0.25) this.#cancel();
  }

  #cancel(): void {
    const timer = this.#timers[Math.floor(this.#random.next() * this.#timers.length)];
    if (timer === undefined) return;
    this.#wheel.cancel(timer.token);
    if (timer.state === 'waiting') timer.state = 'cancelled';
  }

  #turn(): void {
    const draw = this.#random.next();
    const slots = draw < 0.7 ? 2 : draw < 0.95 ? 50 : 2000;
    this.#nowMs += this.#random.next() * slots * this.#slotMs;
    this.#turnNow();
  }

  #turnNow(): void {
    this.#wheel.turn(this.#nowMs);
    for (const { deadlineMs, scheduledAtMs } of this.#waiting()) {
      const dueSinceMs = this.#nowMs - Math.max(deadlineMs, scheduledAtMs);
      assert.ok(dueSinceMs < this.#slotMs, `at most one slot late: due ${deadlineMs}, now ${this.#nowMs}`);
    }
  }

  #waiting(): ModelTimer[] {
    return this.#timers.filter((timer) => timer.state === 'waiting');
  }
}

test('thousands of random timers fire as a naive list of them says', () => {
  let firedCount = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const model = new Model(random, [50, 10, 1, 7.5][seed % 4]!);
    try {
      for (let step = 0; step < 400; step++) model.step();
      model.finish();
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    firedCount += model.firedCount;
  }
  assert.ok(firedCount > 5000, `only ${firedCount} timers fired: the test is void`);
});
