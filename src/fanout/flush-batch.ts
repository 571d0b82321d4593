/**
 * One flush of a topic: publications → joined frames, once per lane.
 * Thread: the topic's home shard. Called by topic/topic.ts and presence/presence-board.ts.
 * Each publication is encoded (and compressed) once per encoding, however many lanes and subscribers there are; the frames of a flush
 * are joined into one buffer that every subscriber of a lane gets in one write. What may be dropped is never joined with
 * what may not. [FAN1]
 */
import { type Encoding, plainOf } from '#proto/envelope.ts';
import type { DeliveryClass } from '#proto/record.ts';
import { passes } from '../log/replay.ts';
import { deflateFrame } from '../wire/deflate-frame.ts';
import {
  encodeEnvelope,
  encodePublication,
  type Publication,
  type ServerEnvelope,
} from '../wire/encode-frame.ts';
import type { Lane } from './lanes.ts';

/** Bytes of one delivery, unless a single frame is larger; OUTBOX_BYTES holds at least this. */
const deliveryBytesMax = 128 * 1024;

/** Complete frames for everyone on a lane. */
export interface LaneBatch {
  frameCount: number;
  frames: Uint8Array;
  delivery: DeliveryClass;
  /** Of the last one that has an offset; 0 where none has. */
  upTo: number;
}

/** Something beside publications, on every lane of a topic. */
export interface Notice {
  envelope: ServerEnvelope;
  delivery: DeliveryClass;
}

interface EncodedFrame {
  frame: Buffer;
  delivery: DeliveryClass;
  offset: number | undefined;
}

/** Makes the batches of one flush; keeps encoded frames until it is dropped. */
export class FlushBatch {
  readonly #publications: readonly Publication[];
  readonly #notices: readonly Notice[];
  readonly #frames: { [Key in Encoding]?: EncodedFrame[] } = {};
  readonly #noticeFrames: { [Key in Encoding]?: EncodedFrame[] } = {};
  readonly #joined: { [Key in Encoding]?: LaneBatch[] } = {};

  /** `notices` come behind the publications, on every lane. */
  constructor(publications: readonly Publication[], notices: readonly Notice[]) {
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

  #withNotices(frames: EncodedFrame[], encoding: Encoding): EncodedFrame[] {
    if (this.#notices.length === 0) return frames;
    this.#noticeFrames[encoding] ??= this.#notices.map(({ envelope, delivery }) => ({
      frame: encodeEnvelope(envelope, encoding),
      delivery,
      offset: undefined,
    }));
    return frames.concat(this.#noticeFrames[encoding]);
  }

  #framesIn(encoding: Encoding): EncodedFrame[] {
    this.#frames[encoding] ??= this.#encode(encoding);
    return this.#frames[encoding];
  }

  #encode(encoding: Encoding): EncodedFrame[] {
    const plain = plainOf(encoding);
    if (plain !== encoding)
      return this.#framesIn(plain).map((encoded) => ({ ...encoded, frame: deflateFrame(encoded.frame) }));
    return this.#publications.map((publication) => ({
      frame: encodePublication(publication, encoding),
      delivery: deliveryOf(publication),
      offset: publication.offset,
    }));
  }
}

/** What has an offset is never dropped: without it there would be a hole. */
export function deliveryOf({ priority, offset }: Pick<Publication, 'priority' | 'offset'>): DeliveryClass {
  if (priority === undefined || priority === 'normal') return 'normal';
  if (priority === 'low') return offset === undefined ? 'low' : 'normal';
  return 'urgent';
}

/** One buffer, or several where one would be too much for an outbox or hold what may be dropped beside what may not. */
function joined(frames: EncodedFrame[]): LaneBatch[] {
  const batches: LaneBatch[] = [];
  let start = 0;
  let bytes = 0;
  for (const [index, { frame, delivery }] of frames.entries()) {
    const isTooMuch = bytes + frame.length > deliveryBytesMax;
    if (index > start && (isTooMuch || !mayJoin(delivery, frames[index - 1] as EncodedFrame))) {
      batches.push(join(frames, start, index));
      start = index;
      bytes = 0;
    }
    bytes += frame.length;
  }
  if (start < frames.length) batches.push(join(frames, start, frames.length));
  return batches;
}

function mayJoin(delivery: DeliveryClass, before: EncodedFrame): boolean {
  return delivery === before.delivery || !(isDroppable(delivery) || isDroppable(before.delivery));
}

function isDroppable(delivery: DeliveryClass): boolean {
  return delivery === 'low' || delivery === 'typing';
}

function join(all: EncodedFrame[], start: number, end: number): LaneBatch {
  const part = all.slice(start, end);
  const first = part[0] as EncodedFrame;
  if (part.length === 1) return batchOf(first.frame, 1, first.delivery, first.offset);
  const delivery = part.some((frame) => frame.delivery === 'urgent') ? 'urgent' : first.delivery;
  const frames = Buffer.concat(part.map(({ frame }) => frame));
  return batchOf(frames, part.length, delivery, part.findLast(({ offset }) => offset !== undefined)?.offset);
}

function batchOf(
  frames: Uint8Array,
  frameCount: number,
  delivery: DeliveryClass,
  upTo: number | undefined,
): LaneBatch {
  return { frameCount, frames, delivery, upTo: upTo ?? 0 };
}
