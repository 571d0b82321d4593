/**
 * Who listens to a topic: lanes, and the shards on them.
 * Thread: the topic's home shard. Owned by topic/topic.ts, and by the boards of presence.
 */
import { type Refusal, refusal } from '#proto/error-codes.ts';
import type { ShardId } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import { compileFilter, type Filter } from '../routing/filter.ts';

/** Different filters (and encodings of them) of one topic: each is asked about every publication. */
const filteredLanesMax = 256;

/** Everyone who gets the same bytes: one encoding, one filter. */
export interface Lane {
  spec: LaneSpec;
  filter: Filter | undefined;
  /** Shards with subscribers on this lane. */
  shards: Set<ShardId>;
}

export class Lanes {
  /** By encoding and filter. */
  readonly #lanes = new Map<string, Lane>();
  #filteredCount = 0;

  get size(): number {
    return this.#lanes.size;
  }

  [Symbol.iterator](): Iterator<Lane> {
    return this.#lanes.values();
  }

  /** The lane, made when missing; nobody is on a new one. */
  open(spec: LaneSpec): Lane | Refusal {
    const known = this.#lanes.get(laneKeyOf(spec));
    if (known !== undefined) return known;
    const isFiltered = spec[1] !== '';
    if (isFiltered && this.#filteredCount >= filteredLanesMax) {
      return refusal('limit_exceeded', `the topic has ${filteredLanesMax} different filters already`);
    }
    const filter = isFiltered ? compileFilter(JSON.parse(spec[1]) as Record<string, unknown>) : undefined;
    if (typeof filter === 'string') return refusal('invalid_filter', filter);
    return { spec, filter, shards: new Set() };
  }

  join(lane: Lane, shard: ShardId): void {
    const laneKey = laneKeyOf(lane.spec);
    const known = this.#lanes.get(laneKey) ?? lane;
    if (known === lane && !this.#lanes.has(laneKey)) {
      this.#lanes.set(laneKey, lane);
      if (lane.filter !== undefined) this.#filteredCount++;
    }
    known.shards.add(shard);
  }

  leave(spec: LaneSpec, shard: ShardId): void {
    const laneKey = laneKeyOf(spec);
    const lane = this.#lanes.get(laneKey);
    lane?.shards.delete(shard);
    if (lane === undefined || lane.shards.size > 0) return;
    this.#lanes.delete(laneKey);
    if (lane.filter !== undefined) this.#filteredCount--;
  }

  specs(): LaneSpec[] {
    return [...this.#lanes.values()].map(({ spec }) => spec);
  }
}

/** Without a filter no string is made: this is asked for every delivery. */
export function laneKeyOf([encoding, filter]: LaneSpec): string {
  return filter === '' ? encoding : encoding + filter;
}
