/**
 * One log as its home has it: the end, the youngest entries, and what somebody who comes back is given of them.
 * Thread: the home's shard. Owned by a topic or user actor; of a stored topic by way of stored-log.ts.
 * A subscriber who is told that it is live at a position gets everything behind it by itself: the home hands over what
 * waits, then joins and answers in one call, and the ways to the subscribers keep the order. [REC1]
 */
import type { Encoding } from '#proto/envelope.ts';
import type { Filter } from '../routing/filter.ts';
import type { Publication } from '../wire/encode-frame.ts';
import type { Joined, Replay, Since } from '../wire/message.ts';
import { type HotEntry, type HotWindow, type HotWindows, withPayload } from './hot-windows.ts';
import { passes } from './replay.ts';

/** Of one answer. More is fetched when the client has taken it. */
const replayBytesMax = 64 * 1024;

/** `copyOffset`: its place in the inbox of who sent it, where this home was told. */
export type LogPublication = Publication & { offset: number; copyOffset?: number | undefined };

export class HotLog {
  readonly epoch: string;
  readonly #window: HotWindow;
  /** A log that nobody stores begins where its window begins. */
  readonly #isStored: boolean;
  #position: number;
  #firstOffset: number;

  /** `lastOffset` is the end of it now, 0 for a new one; `onCold` is called when the window has nothing left. */
  constructor(
    log: { epoch: string; firstOffset: number; lastOffset: number; isStored: boolean },
    windows: HotWindows,
    onCold: () => void,
  ) {
    this.epoch = log.epoch;
    this.#position = log.lastOffset;
    this.#firstOffset = log.firstOffset;
    this.#isStored = log.isStored;
    this.#window = windows.open(onCold);
  }

  /** Of the last entry. */
  get position(): number {
    return this.#position;
  }

  get isCold(): boolean {
    return this.#window.isEmpty;
  }

  /** The entry behind the last one. */
  push(publication: LogPublication, atMs: number): void {
    this.#position = publication.offset;
    if (publication.target !== undefined) this.#window.amend(publication);
    this.#window.push(publication, atMs);
  }

  /** Where the store begins now: retention takes the oldest away, a restored archive brings them back. */
  onFirstOffset(firstOffset: number): void {
    this.#firstOffset = firstOffset;
  }

  /** The entries between two offsets that are at hand, both excluded. */
  between(after: number, before: number): HotEntry[] {
    const first = this.#window.firstOffset ?? before;
    const entries = this.#window.since(Math.max(after, first - 1)) ?? [];
    return entries.filter(({ publication }) => publication.offset < before);
  }

  /** Without a look at the store: what is missing next is at hand, or nothing is. */
  canAnswer({ epoch, offset }: Since): boolean {
    if (!this.#isStored || epoch !== this.epoch || offset === this.#position) return true;
    return offset < this.#position && this.#window.since(offset) !== undefined;
  }

  /** What a subscriber who has everything up to `since` is told. */
  join(since: Since | undefined, encoding: Encoding, filter: Filter | undefined): Joined {
    const position = { offset: this.#position, epoch: this.epoch };
    if (since === undefined) return { position, isLive: true };
    if (since.epoch !== this.epoch || since.offset > this.#position || since.offset + 1 < this.#oldest) {
      return { position, isLive: true, recovered: false };
    }
    const end = Math.min(since.upTo ?? this.#position, this.#position);
    if (since.offset >= end) return { position, isLive: true, recovered: true };
    const entries = this.#window.since(since.offset);
    if (entries === undefined) return { position, isLive: false, recovered: true };
    const replay = this.#replayOf(entries, end, encoding, filter);
    return { position, isLive: replay.upTo === end, recovered: true, replay };
  }

  get #oldest(): number {
    return this.#isStored ? this.#firstOffset : (this.#window.firstOffset ?? this.#position + 1);
  }

  /** From the first entry on, as far as one answer goes; at least one. */
  #replayOf(entries: HotEntry[], end: number, encoding: Encoding, filter: Filter | undefined): Replay {
    const frames: Buffer[] = [];
    let bytes = 0;
    let upTo = 0;
    for (const entry of entries) {
      if (entry.publication.offset > end || bytes > replayBytesMax) break;
      upTo = entry.publication.offset;
      if (filter !== undefined && !passes(withPayload(entry.publication), filter)) continue;
      const frame = this.#window.frameOf(entry, encoding);
      frames.push(frame);
      bytes += frame.length;
    }
    return { upTo, frameCount: frames.length, frames: Buffer.concat(frames) };
  }
}
