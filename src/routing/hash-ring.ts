/**
 * Consistent hashing of names onto shards, in the rendezvous form (Thaler and Ravishankar, 1998).
 * Each shard has a weight for each name; the highest wins. Adding a shard moves 1/N of the names, and only to it.
 * The rendezvous form spreads best over few targets (libraries reference, section 4) and has no table to keep.
 */
import { assert } from '#kit/assert.ts';
import { hashString, mix32 } from '#kit/hash.ts';
import type { ShardId } from '#proto/names.ts';

export class HashRing {
  readonly shardCount: number;
  readonly #seeds: number[];

  constructor(shardCount: number) {
    assert(shardCount >= 1, 'a hash ring has at least one shard');
    this.shardCount = shardCount;
    this.#seeds = Array.from({ length: shardCount }, (_, shard) => mix32(shard + 0x9e3779b9));
  }

  /** The shard of `name`: the same in every thread. */
  shardOf(name: string): ShardId {
    const hash = hashString(name);
    let best = 0;
    let bestWeight = -1;
    for (let shard = 0; shard < this.shardCount; shard++) {
      const weight = mix32(hash ^ (this.#seeds[shard] as number));
      if (weight > bestWeight) {
        best = shard;
        bestWeight = weight;
      }
    }
    return best as ShardId;
  }

  /** All shards, the best for `name` first: where to go on when the first cannot take it. */
  shardsByPreference(name: string): ShardId[] {
    const hash = hashString(name);
    const weights = this.#seeds.map((seed, shard) => ({
      shard: shard as ShardId,
      weight: mix32(hash ^ seed),
    }));
    return weights.sort((a, b) => b.weight - a.weight || a.shard - b.shard).map((entry) => entry.shard);
  }
}
