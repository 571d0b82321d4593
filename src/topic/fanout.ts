/**
 * One flush of a topic: publications → joined frames, once per lane.
 * Thread: the topic's home shard. Called by topic.ts.
 * Each publication is encoded once per encoding, however many lanes and subscribers there are; the frames of a flush
 * are joined into one buffer that every subscriber of a lane gets in one write. [FAN1]
 */
import type { Encoding } from '#proto/envelope.ts';
import { passes } from '../log/replay.ts';
import {
  encodeEnvelope,
  encodePublication,
  type Publication,
  type ServerEnvelope,
} from '../wire/encode-frame.ts';
import type { Lane } from './lanes.ts';

/** Bytes of one delivery, unless a single frame is larger; OUTBOX_BYTES holds at least this. */
const deliveryBytesMax = 128 * 1024;

export interface LaneBatch {
  frameCount: number;
  frames: Uint8Array;
}

/** Makes the batches of one flush; keeps encoded frames until it is dropped. */
export class FlushBatch {
  readonly #publications: readonly Publication[];
  readonly #notices: readonly ServerEnvelope[];
  readonly #frames: { [Key in Encoding]?: Buffer[] } = {};
  readonly #joined: { [Key in Encoding]?: LaneBatch[] } = {};

  /** `notices` come behind the publications, on every lane. */
  constructor(publications: readonly Publication[], notices: readonly ServerEnvelope[]) {
    this.#publications = publications;
    this.#notices = notices;
  }

  /** What this lane gets, in order; nothing where its filter lets nothing pass. */
  forLane(lane: Lane): LaneBatch[] {
    const encoding = lane.spec[0];
    if (lane.filter === undefined) {
      this.#joined[encoding] ??= joined(this.#withNotices(this.#framesIn(encoding), encoding));
      return this.#joined[encoding];
    }
    const { filter } = lane;
    const passing = this.#framesIn(encoding).filter((_, index) =>
      passes(this.#publications[index] as Publication, filter),
    );
    return joined(this.#withNotices(passing, encoding));
  }

  #withNotices(frames: Buffer[], encoding: Encoding): Buffer[] {
    if (this.#notices.length === 0) return frames;
    return frames.concat(this.#notices.map((notice) => encodeEnvelope(notice, encoding)));
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
