/**
 * The duty cycle of a simulated shard: what is due when is for the dice, within what src/shard/duty-cycle.ts allows.
 */
import type { Clock } from '#kit/clock.ts';
import type { FlushPort, FlushTarget, FlushWait } from '../../src/fanout/ports.ts';
import type { Runnable, SchedulePort, Writable } from '../../src/session/ports.ts';
import type { Dice } from './sim-random.ts';

const lazyWaitMs = 100;

export class SimDuty implements SchedulePort, FlushPort {
  readonly #clock: Clock;
  readonly #ready = new Set<Runnable>();
  #outboxes: Writable[] = [];
  readonly #due: Record<FlushWait, Set<FlushTarget>> = { now: new Set(), window: new Set(), lazy: new Set() };
  #lazySinceMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isIdle(): boolean {
    const { now, window, lazy } = this.#due;
    return this.#ready.size + this.#outboxes.length + now.size + window.size + lazy.size === 0;
  }

  requestSlice(session: Runnable): void {
    this.#ready.add(session);
  }

  requestWrite(outbox: Writable): void {
    this.#outboxes.push(outbox);
  }

  requestFlush(topic: FlushTarget, wait: FlushWait): void {
    if (wait === 'lazy' && this.#due.lazy.size === 0) this.#lazySinceMs = this.#clock.monotonicMs();
    this.#due[wait].add(topic);
  }

  onWrite(): void {}

  turn(dice: Dice): void {
    if (this.isIdle) return;
    for (const session of take(this.#ready)) {
      if (session.row !== 'ready' && dice.chance(0.5)) this.#ready.add(session);
      else if (session.runSlice(dice.chance(0.8) ? 64 : 1)) this.#ready.add(session);
    }
    this.#flush('now');
    if (this.#clock.monotonicMs() - this.#lazySinceMs >= lazyWaitMs) this.#flush('lazy');
    if (dice.chance(0.7)) this.#flush('window');
    const outboxes = this.#outboxes;
    this.#outboxes = [];
    for (const outbox of outboxes) outbox.write();
  }

  #flush(wait: FlushWait): void {
    for (const topic of take(this.#due[wait])) topic.flush();
  }
}

function take<Entry>(set: Set<Entry>): Entry[] {
  if (set.size === 0) return [];
  const entries = [...set];
  set.clear();
  return entries;
}
