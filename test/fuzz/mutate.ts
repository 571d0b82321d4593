/** Frames → frames that nobody meant: seeded, so that a failure can be had again. */
import type { Random } from '#kit/random.ts';
import type { Encoding } from '#proto/envelope.ts';
import { pack, uint16, uint32 } from '../unit/wire/msgpack-bytes.ts';
import { commands, corpusOf, hostileKeys, hostileValues } from './corpus.ts';

/** ws lets no larger frame through. */
const frameBytesMax = 65_536;

type Mutation = (frame: Buffer, mutator: Mutator) => Buffer;

export class Mutator {
  readonly encoding: Encoding;
  readonly #random: Random;
  readonly #corpus: readonly Buffer[];

  constructor(encoding: Encoding, random: Random) {
    this.encoding = encoding;
    this.#random = random;
    this.#corpus = corpusOf(encoding);
  }

  /** The next frame: bytes of the corpus bent a little, or a command with wrong values in it. */
  next(): Buffer {
    const draw = this.#random.next();
    if (draw < 0.02) return this.pick(this.#corpus);
    let frame = draw < 0.6 ? this.encode(this.#bentCommand()) : this.pick(this.#corpus);
    const rounds = draw < 0.5 ? 0 : 1 + this.below(3);
    for (let round = 0; round < rounds; round++) frame = this.pick(mutations)(frame, this);
    return frame.subarray(0, frameBytesMax);
  }

  below(limit: number): number {
    return Math.floor(this.#random.next() * limit);
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)] as Value;
  }

  encode(value: unknown): Buffer {
    return this.encoding === 'json' ? Buffer.from(JSON.stringify(value) ?? 'null') : pack(value);
  }

  /** One to three fields replaced, removed or added, at any depth; sometimes many commands in one frame. */
  #bentCommand(): unknown {
    if (this.below(12) === 0)
      return Array.from({ length: this.below(66) }, () => this.#bentOnce(this.pick(commands)));
    let value: unknown = this.pick(commands);
    for (let round = 1 + this.below(3); round > 0; round--) value = this.#bentOnce(value);
    return value;
  }

  #bentOnce(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.#hostileValue();
    const entries = Object.entries(value);
    const inner = entries.findIndex(([name]) => name === 'data' || name === 'payload' || name === 'filter');
    const at = inner >= 0 && this.below(4) > 0 ? inner : this.below(entries.length + 1);
    if (at === inner && this.below(8) > 0) {
      entries[at]![1] = this.#bentOnce(entries[at]![1]);
      return Object.fromEntries(entries);
    }
    const entry = entries[at];
    const draw = this.below(10);
    if (entry === undefined || draw === 0) entries.push([this.pick(hostileKeys), this.#hostileValue()]);
    else if (draw === 1) entries.splice(at, 1);
    else if (draw === 2) entry[0] = this.pick(hostileKeys);
    else if (draw < 5) entry[1] = this.#hostileValue();
    else entry[1] = this.#bentOnce(entry[1]);
    return Object.fromEntries(entries);
  }

  #hostileValue(): unknown {
    const draw = this.below(12);
    if (draw === 0 && this.encoding === 'msgpack') return Buffer.alloc(this.below(2000), 7);
    if (draw === 1) return nested(this.below(24), this.pick(hostileValues), this.below(2) === 0);
    return this.pick(hostileValues);
  }
}

function nested(depth: number, core: unknown, isMap: boolean): unknown {
  let value = core;
  for (let level = 0; level < depth; level++) value = isMap ? { a: value } : [value];
  return value;
}

const flipBits: Mutation = (frame, mutator) => {
  const flipped = Buffer.from(frame);
  for (let count = 1 + mutator.below(4); count > 0 && flipped.length > 0; count--) {
    flipped[mutator.below(flipped.length)]! ^= 1 << mutator.below(8);
  }
  return flipped;
};

const truncate: Mutation = (frame, mutator) => frame.subarray(0, mutator.below(frame.length + 1));

const insert: Mutation = (frame, mutator) => {
  const at = mutator.below(frame.length + 1);
  const inserted = Buffer.from(Array.from({ length: 1 + mutator.below(8) }, () => mutator.below(256)));
  return Buffer.concat([frame.subarray(0, at), inserted, frame.subarray(at)]);
};

const repeatSlice: Mutation = (frame, mutator) => {
  const start = mutator.below(frame.length);
  const slice = frame.subarray(start, start + 1 + mutator.below(Math.min(60, frame.length)));
  const copies = Array.from({ length: 1 + mutator.below(mutator.below(10) === 0 ? 500 : 4) }, () => slice);
  return Buffer.concat([frame.subarray(0, start), ...copies, frame.subarray(start)]);
};

const removeSlice: Mutation = (frame, mutator) => {
  const start = mutator.below(frame.length);
  return Buffer.concat([frame.subarray(0, start), frame.subarray(start + 1 + mutator.below(12))]);
};

const splice: Mutation = (frame, mutator) => {
  const other = mutator.pick(corpusOfOnce(mutator.encoding));
  const cut = mutator.below(frame.length + 1);
  return Buffer.concat([frame.subarray(0, cut), other.subarray(mutator.below(other.length + 1))]);
};

/** Announces more than there is: a msgpack header of any width, a JSON number or string without end. */
const blowUpLength: Mutation = (frame, mutator) => {
  const at = mutator.below(frame.length + 1);
  const huge = mutator.pick([0xff, 0x7fff, 0xffff, 0x01c9c380, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]);
  const header =
    mutator.encoding === 'msgpack'
      ? mutator.below(2) === 0
        ? Buffer.concat([Buffer.from([mutator.pick([0xc6, 0xc9, 0xdb, 0xdd, 0xdf])]), uint32(huge)])
        : Buffer.concat([Buffer.from([mutator.pick([0xc5, 0xc8, 0xda, 0xdc, 0xde])]), uint16(huge & 0xffff)])
      : Buffer.from(
          mutator.pick(['1e999', '-1e999', '9'.repeat(400), '"', '"\\u', '{"":', `"${'\\'.repeat(99)}`]),
        );
  const skipped = mutator.below(6);
  return Buffer.concat([frame.subarray(0, at), header, frame.subarray(at + skipped)]);
};

const nestDeeply: Mutation = (frame, mutator) => {
  const depth = 1 + mutator.below(mutator.below(8) === 0 ? 20_000 : 20);
  const isMap = mutator.below(2) === 0;
  const at = mutator.below(4) === 0 ? mutator.below(frame.length + 1) : 0;
  if (mutator.encoding === 'msgpack') {
    const level = isMap ? Buffer.from([0x81, 0xa1, 0x61]) : Buffer.from([0x91]);
    return Buffer.concat([
      frame.subarray(0, at),
      Buffer.alloc(depth * level.length, level),
      frame.subarray(at),
    ]);
  }
  const [open, close] = isMap ? ['{"a":', '}'] : ['[', ']'];
  const closing = close.repeat(mutator.below(8) === 0 ? depth + 1 : depth);
  return Buffer.concat([
    frame.subarray(0, at),
    Buffer.from(open.repeat(depth)),
    frame.subarray(at),
    Buffer.from(closing),
  ]);
};

const mutations = [
  flipBits,
  flipBits,
  truncate,
  insert,
  repeatSlice,
  removeSlice,
  splice,
  blowUpLength,
  nestDeeply,
];

const corpora = new Map<Encoding, readonly Buffer[]>();
function corpusOfOnce(encoding: Encoding): readonly Buffer[] {
  const corpus = corpora.get(encoding) ?? corpusOf(encoding);
  corpora.set(encoding, corpus);
  return corpus;
}
