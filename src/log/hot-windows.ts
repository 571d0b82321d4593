/**
 * The youngest entries of the logs of a shard, in memory: what most of those who come back have missed.
 * Thread: shard. A window is owned by one log (hot-log.ts); all of them share one budget, the oldest giving way first.
 * Bounded per log by entries, bytes and age, and together by bytes. Nothing is lost with them: what is stored is read from
 * the store, and a cached topic promises no more than its window.
 */
import type { Encoding } from '#proto/envelope.ts';
import { encodePublication, type Publication } from '../wire/encode-frame.ts';
import { Payload } from '../wire/payload.ts';
import type { LogPublication } from './hot-log.ts';
import { tombstone } from './replay.ts';

/** Protocol section 3: what a cached topic keeps. */
const entriesMax = 300;
const keptMs = 5 * 60_000;
/** Of one log: half of what an outbox may hold. */
const windowBytesMax = 512 * 1024;
/** Of a shard's windows together. */
const allBytesMax = 64 * 1024 ** 2;
/** An entry is counted with so much beside its payload and encoded frames, for its objects and names. An estimate. */
const entryBytes = 500;
/** So much more for a window that is not empty: the actor that owns it is kept for it. An estimate. */
const windowBytes = 3000;

export interface HotEntry {
  /** Its payload has the bytes and nothing made of them. */
  publication: LogPublication;
  atMs: number;
  /** As a replayed frame, by encoding: encoded once for all who missed it. */
  frames: { [Key in Encoding]?: Buffer };
}

export class HotWindows {
  /** In the order of their last entry. */
  readonly #windows = new Set<HotWindow>();
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax = allBytesMax) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `onEmptied` is called when its last entry was taken away. */
  open(onEmptied: () => void): HotWindow {
    return new HotWindow(this, onEmptied);
  }

  /** What is too old goes. Called every now and then. */
  expire(nowMs: number): void {
    for (const window of this.#windows) {
      if (window.youngestAtMs > nowMs - keptMs) break;
      window.expire(nowMs - keptMs);
    }
  }

  /** Something in them may have been erased: all go. */
  forget(): void {
    for (const window of [...this.#windows]) window.clear();
  }

  /** Of a window that changed by `bytes`; `isNews` puts it last in the order of giving way. */
  onChange(window: HotWindow, bytes: number, isNews: boolean): void {
    this.#bytes += bytes;
    if (isNews || window.isEmpty) this.#windows.delete(window);
    if (!window.isEmpty) this.#windows.add(window);
    for (const oldest of this.#windows) {
      if (this.#bytes <= this.#bytesMax || oldest === window) return;
      oldest.clear();
    }
  }
}

export class HotWindow {
  readonly #windows: HotWindows;
  readonly #onEmptied: () => void;
  #entries: HotEntry[] = [];
  #bytes = 0;

  constructor(windows: HotWindows, onEmptied: () => void) {
    this.#windows = windows;
    this.#onEmptied = onEmptied;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Undefined when it is empty. */
  get firstOffset(): number | undefined {
    return this.#entries[0]?.publication.offset;
  }

  get youngestAtMs(): number {
    return this.#entries.at(-1)?.atMs ?? 0;
  }

  push(publication: LogPublication, atMs: number): void {
    const entry: HotEntry = { publication: lean(publication), atMs, frames: {} };
    const bytes = bytesOf(entry) + (this.isEmpty ? windowBytes : 0);
    this.#entries.push(entry);
    this.#bytes += bytes;
    const taken = this.#takeWhile(
      (oldest, left) => left > entriesMax || this.#bytes > windowBytesMax || oldest.atMs < atMs - keptMs,
    );
    this.#windows.onChange(this, bytes - taken, true);
  }

  /** Entries behind `offset`; undefined when the window does not reach that far back. */
  since(offset: number): HotEntry[] | undefined {
    const first = this.firstOffset;
    return first === undefined || first > offset + 1 ? undefined : this.#entries.slice(offset + 1 - first);
  }

  /** An edit or a deletion, perhaps of a message that is still here: who comes back gets it as it is now. */
  amend(change: Publication): void {
    for (const entry of this.#entries) {
      if (entry.publication.id === change.target) this.#replace(entry, amended(entry.publication, change));
      else if (change.type === 'Deleted' && entry.publication.target === change.target) {
        this.#replace(entry, { ...entry.publication, payload: change.payload }); // an edit of it
      }
    }
  }

  /** What somebody who missed the entry gets; kept, and counted, for the others. */
  frameOf(entry: HotEntry, encoding: Encoding): Buffer {
    const known = entry.frames[encoding];
    if (known !== undefined) return known;
    const frame = encodePublication(withPayload(entry.publication), encoding, true);
    entry.frames[encoding] = frame;
    this.#bytes += frame.length;
    this.#windows.onChange(this, frame.length, false);
    return frame;
  }

  expire(beforeMs: number): void {
    this.#shrink(this.#takeWhile((entry) => entry.atMs < beforeMs));
  }

  clear(): void {
    this.#shrink(this.#takeWhile(() => true));
  }

  #replace(entry: HotEntry, publication: HotEntry['publication']): void {
    const before = bytesOf(entry);
    entry.publication = lean(publication);
    entry.frames = {};
    const bytes = bytesOf(entry) - before;
    this.#bytes += bytes;
    this.#windows.onChange(this, bytes, false);
  }

  #shrink(taken: number): void {
    this.#windows.onChange(this, -taken, false);
    if (this.isEmpty && taken > 0) this.#onEmptied();
  }

  /** From the oldest on, of which `left` are there; answers the bytes. */
  #takeWhile(isTaken: (entry: HotEntry, left: number) => boolean): number {
    const before = this.#bytes;
    let count = 0;
    for (const entry of this.#entries) {
      if (!isTaken(entry, this.#entries.length - count)) break;
      this.#bytes -= bytesOf(entry);
      count++;
    }
    if (count > 0) this.#entries = this.#entries.slice(count);
    if (count > 0 && this.isEmpty) this.#bytes -= windowBytes;
    return before - this.#bytes;
  }
}

function amended(message: HotEntry['publication'], change: Publication): HotEntry['publication'] {
  return change.type === 'Deleted' ? tombstone(message) : { ...message, payload: change.payload };
}

/** With bytes of its own: what it came with may be a view of a larger buffer, and carry the decoded value. */
function lean(publication: LogPublication): LogPublication {
  return { ...publication, payload: Payload.ofMsgpack(new Uint8Array(publication.payload.msgpack)) };
}

/** To be looked into: what is made of the payload goes with it, and not into the window. */
export function withPayload(publication: LogPublication): LogPublication {
  return { ...publication, payload: Payload.ofMsgpack(publication.payload.msgpack) };
}

function bytesOf({ publication, frames }: HotEntry): number {
  const { json, msgpack } = frames;
  return publication.payload.msgpack.length + (json?.length ?? 0) + (msgpack?.length ?? 0) + entryBytes;
}
