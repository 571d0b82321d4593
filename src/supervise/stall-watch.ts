/**
 * Notices a shard whose loop stands still, by its heartbeat in shared memory.
 * Thread: primary. Turned by the supervisor; pure apart from the heartbeats it reads.
 */
import type { ShardId } from '#proto/names.ts';
import type { Heartbeats } from '../observe/heartbeats.ts';

/** A stall worth a warning, milliseconds. */
const warnAfterMs = 1_000;

interface Seen {
  beats: number;
  changedAtMs: number;
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
    this.#seen.set(shard, { beats: this.#heartbeats.read(shard), changedAtMs: nowMs, isWarned: false });
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
    const beats = this.#heartbeats.read(shard);
    if (beats !== seen.beats) {
      this.#seen.set(shard, { beats, changedAtMs: nowMs, isWarned: false });
      return 'turning';
    }
    const stillMs = nowMs - seen.changedAtMs;
    if (stillMs >= this.#stallTimeoutMs) return 'stalled';
    if (stillMs < warnAfterMs || seen.isWarned) return 'turning';
    seen.isWarned = true;
    return 'slow';
  }
}
