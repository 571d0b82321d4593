/**
 * A counter per shard in shared memory: the shard counts up while its loop turns, the primary watches.
 * The primary sees a stall without asking the stalled loop anything.
 */
export function allocateHeartbeats(shardCount: number): SharedArrayBuffer {
  return new SharedArrayBuffer(shardCount * 4);
}

export class Heartbeats {
  readonly #counters: Int32Array;

  constructor(shared: SharedArrayBuffer) {
    this.#counters = new Int32Array(shared);
  }

  beat(shard: number): void {
    Atomics.add(this.#counters, shard, 1);
  }

  read(shard: number): number {
    return Atomics.load(this.#counters, shard);
  }
}
