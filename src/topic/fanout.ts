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

/** Bytes of one delivery, unless a single frame is larger; OUTBOX_BYTES holds at least this. */
const deliveryBytesMax = 128 * 1024;

export interface LaneBatch {
  frameCount: number;
  frames: Uint8Array;
}

/** Makes the batches of one flush; keeps encoded frames until it is dropped. */
export class FlushBatch {
  readonly #publications: readonly Publication[];
  readonly #frames: { [Key in Encoding]?: Buffer[] } = {};
  readonly #joined: { [Key in Encoding]?: LaneBatch[] } = {};

  constructor(publications: readonly Publication[]) {
    this.#publications = publications;
  }

  /** What this lane gets, in order; nothing where its filter lets nothing pass. */
  forLane(lane: Lane): LaneBatch[] {
    const encoding = lane.spec[0];
    if (lane.filter === undefined) {
      this.#joined[encoding] ??= joined(this.#framesIn(encoding));
      return this.#joined[encoding];
    }
    const { filter } = lane;
    const passing = this.#framesIn(encoding).filter((_, index) =>
      filter(deliveredData(this.#publications[index]!)),
    );
    return joined(passing);
  }

  #framesIn(encoding: Encoding): Buffer[] {
    this.#frames[encoding] ??= this.#publications.map((publication) =>
      encodePublication(publication, encoding),
    );
    return this.#frames[encoding];
  }
}

/** One buffer, or several where one would be too much for an outbox. */
function joined(frames: Buffer[]): LaneBatch[] {
  const batches: LaneBatch[] = [];
  let start = 0;
  let bytes = 0;
  for (const [index, frame] of frames.entries()) {
    if (index > start && bytes + frame.length > deliveryBytesMax) {
      batches.push(join(frames, start, index));
      start = index;
      bytes = 0;
    }
    bytes += frame.length;
  }
  if (start < frames.length) batches.push(join(frames, start, frames.length));
  return batches;
}

function join(frames: Buffer[], start: number, end: number): LaneBatch {
  const part = frames.slice(start, end);
  return { frameCount: part.length, frames: part.length === 1 ? part[0]! : Buffer.concat(part) };
}

/** The `data` that a filter speaks about; a priority that was not given is the default one. */
function deliveredData({ topic, offset, from, event, priority = 'normal', payload }: Publication): object {
  return { topic, offset, from, event, priority, payload: payload.value };
}
