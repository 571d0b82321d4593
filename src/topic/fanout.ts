/**
 * One flush of a topic: publications → joined frames, once per lane.
 * Thread: the topic's home shard. Called by topic.ts.
 * Each publication is encoded once per encoding, however many lanes and subscribers there are; the frames of a flush
 * are joined into one buffer that every subscriber of a lane gets in one write. [FAN1]
 */
import type { Encoding } from '#proto/envelope.ts';
import type { ShardId } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { Filter } from '../routing/filter.ts';
import { encodePublication, type Publication } from '../wire/encode-frame.ts';

/** Everyone who gets the same bytes: one encoding, one filter. */
export interface Lane {
  spec: LaneSpec;
  filter: Filter | undefined;
  /** Shards with subscribers on this lane. */
  shards: Set<ShardId>;
}

export interface LaneBatch {
  frameCount: number;
  frames: Uint8Array;
}

/** Makes the batches of one flush; keeps encoded frames until it is dropped. */
export class FlushBatch {
  readonly #publications: readonly Publication[];
  readonly #frames: { [Key in Encoding]?: Buffer[] } = {};
  readonly #joined: { [Key in Encoding]?: LaneBatch } = {};

  constructor(publications: readonly Publication[]) {
    this.#publications = publications;
  }

  /** What this lane gets; undefined: its filter lets nothing pass. */
  forLane(lane: Lane): LaneBatch | undefined {
    const encoding = lane.spec[0];
    if (lane.filter === undefined) {
      this.#joined[encoding] ??= joined(this.#framesIn(encoding));
      return this.#joined[encoding];
    }
    const { filter } = lane;
    const passing = this.#framesIn(encoding).filter((_, index) =>
      filter(deliveredData(this.#publications[index]!)),
    );
    return passing.length === 0 ? undefined : joined(passing);
  }

  #framesIn(encoding: Encoding): Buffer[] {
    this.#frames[encoding] ??= this.#publications.map((publication) =>
      encodePublication(publication, encoding),
    );
    return this.#frames[encoding];
  }
}

function joined(frames: Buffer[]): LaneBatch {
  return { frameCount: frames.length, frames: frames.length === 1 ? frames[0]! : Buffer.concat(frames) };
}

/** The `data` that a filter speaks about. */
function deliveredData({ topic, from, event, priority, payload }: Publication): object {
  return { topic, from, event, priority, payload: payload.value };
}
