/**
 * Which shard gets a new socket: consistent hash of the peer's address and port, with bounded load (Mirrokni, Thorup and
 * Zadimoghaddam, 2016): a shard above its share passes the socket on to the next by preference. Pure.
 * Thread: primary. Called by handover.ts. It cannot follow the user or the topic: no byte was read yet.
 */
import type { ShardId } from '#proto/names.ts';
import { HashRing } from '../routing/hash-ring.ts';

/** How far above the mean a shard may be: 1.25 keeps most sockets where the hash puts them. */
const loadFactor = 1.25;

export class Placement {
  readonly #ring: HashRing;

  constructor(shardCount: number) {
    this.#ring = new HashRing(shardCount);
  }

  /** Shards to try in order; `loadOf` is the number of sockets of a shard. All of them: the last ones are over their share. */
  candidates(peer: string, loadOf: (shard: ShardId) => number): ShardId[] {
    const shards = this.#ring.shardsByPreference(peer);
    const total = shards.reduce((sum, shard) => sum + loadOf(shard), 0);
    const loadMax = Math.ceil(((total + 1) / shards.length) * loadFactor);
    const hasRoom = (shard: ShardId) => loadOf(shard) < loadMax;
    return [...shards.filter(hasRoom), ...shards.filter((shard) => !hasRoom(shard))];
  }
}
