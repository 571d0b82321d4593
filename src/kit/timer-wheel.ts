/**
 * One timer for all timeouts of a thread: a hashed wheel (Varghese and Lauck, 1987).
 * Thread: any; a shard has one, turned by its duty cycle. Never calls back before the deadline, at most one
 * slot late, plus however long the thread was busy.
 * Why: ten thousand connections would be ten thousand Node timers, each with a closure and a list entry.
 */
export interface TimerEntry {
  /** Called once when the deadline has passed; a throw here is a bug and reaches the thread's crash handler. */
  onDeadline(): void;
}

interface Scheduled {
  entry: TimerEntry;
  deadlineMs: number;
  slot: number;
}

/** What `schedule` gives back: hand it to `cancel`. */
export type TimerToken = object & { readonly deadlineMs: number };

const slotCount = 512;

export class TimerWheel {
  /** Width of a slot, which is how late a timer may be. Milliseconds. */
  readonly slotMs: number;
  readonly #slots: Set<Scheduled>[] = Array.from({ length: slotCount }, () => new Set());
  /** The slot number (growing for ever) that `turn` will look at next. */
  #cursor: number;
  #size = 0;

  constructor(nowMs: number, slotMs = 50) {
    this.slotMs = slotMs;
    this.#cursor = Math.floor(nowMs / slotMs);
  }

  /** Timers waiting. */
  get size(): number {
    return this.#size;
  }

  /** O(1). A deadline in the past fires on the next turn. */
  schedule(deadlineMs: number, entry: TimerEntry): TimerToken {
    const slot = Math.max(Math.ceil(deadlineMs / this.slotMs), this.#cursor);
    const scheduled: Scheduled = { entry, deadlineMs, slot };
    this.#slotAt(slot).add(scheduled);
    this.#size++;
    return scheduled;
  }

  /** O(1). Cancelling twice, or after it fired, does nothing. */
  cancel(token: TimerToken): void {
    const scheduled = token as Scheduled;
    if (this.#slotAt(scheduled.slot).delete(scheduled)) this.#size--;
  }

  /** Fires what is due at `nowMs`; answers how many. Call at least every `slotMs`. */
  turn(nowMs: number): number {
    const last = Math.floor(nowMs / this.slotMs);
    const first = Math.max(this.#cursor, last - slotCount + 1);
    // Moved first: what a callback schedules for "now" must land on a slot that is still to come.
    this.#cursor = Math.max(this.#cursor, last + 1);
    let fired = 0;
    for (let slot = first; slot <= last; slot++) fired += this.#fireSlot(slot, last);
    return fired;
  }

  #fireSlot(slot: number, lastSlot: number): number {
    const due = [...this.#slotAt(slot)].filter((scheduled) => scheduled.slot <= lastSlot);
    let fired = 0;
    for (const scheduled of due) {
      if (!this.#slotAt(slot).delete(scheduled)) continue; // cancelled by an earlier callback of this turn
      this.#size--;
      fired++;
      scheduled.entry.onDeadline();
    }
    return fired;
  }

  #slotAt(slot: number): Set<Scheduled> {
    return this.#slots[slot % slotCount] as Set<Scheduled>;
  }
}
