/**
 * Notices a shard whose loop stands still, by its heartbeat in shared memory.
 * Thread: primary. Turned by the supervisor; pure apart from the heartbeats it reads.
 */
import type { ShardId } from '#proto/names.ts';
import type { Heartbeats } from '../observe/heartbeats.ts';

/** A stall worth a warning, milliseconds. */
const warnAfterMs = 1_000;

/**
 * So much counts of the time between two looks, milliseconds: as long as it is meant to be (supervisor.ts). Of a process that
 * stood still as a whole (a frozen container, a paused virtual machine) the primary may be the first that runs, and the
 * shards must get their turn.
 */
const betweenLooksMaxMs = 250;

interface Seen {
  beats: number;
  lookedAtMs: number;
  /** Without a beat, milliseconds. */
  stillMs: number;
  isWarned: boolean;
}

export class StallWatch {
  readonly #heartbeats: Heartbeats;
  readonly #stallTimeoutMs: number;
  readonly #seen = new Map<ShardId, Seen>();

  constructor(heartbeats: Heartbeats, stallTimeoutMs: number) {
    this.#heartbeats = heartbeats;
    this.#stallTimeoutMs = stallTimeoutMs;
  }

  begin(shard: ShardId, nowMs: number): void {
    const beats = this.#heartbeats.read(shard);
    this.#seen.set(shard, { beats, lookedAtMs: nowMs, stillMs: 0, isWarned: false });
  }

  end(shard: ShardId): void {
    this.#seen.delete(shard);
  }

  isWatched(shard: ShardId): boolean {
    return this.#seen.has(shard);
  }

  /** 'slow' once per stall, 'stalled' when it must be ended. */
  look(shard: ShardId, nowMs: number): 'turning' | 'slow' | 'stalled' {
    const seen = this.#seen.get(shard);
    if (seen === undefined) return 'turning';
    if (this.#heartbeats.read(shard) !== seen.beats) {
      this.begin(shard, nowMs);
      return 'turning';
    }
    seen.stillMs += Math.min(nowMs - seen.lookedAtMs, betweenLooksMaxMs);
    seen.lookedAtMs = nowMs;
    const { stillMs } = seen;
    if (stillMs >= this.#stallTimeoutMs) return 'stalled';
    if (stillMs < warnAfterMs || seen.isWarned) return 'turning';
    seen.isWarned = true;
    return 'slow';
  }
}
