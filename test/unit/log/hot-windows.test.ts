/** The youngest entries of logs in memory: their bounds, what gives way first, and what edits and deletions leave of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { type HotEntry, type HotWindow, HotWindows } from '../../../src/log/hot-windows.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { envelopesIn } from '../topic/topic-world.ts';
import { deleted, edited, publication, range } from './log-world.ts';

const entriesMax = 300;
const keptMs = 5 * 60_000;
const windowBytesMax = 512 * 1024;
/** Counted beside the payload. */
const entryBytes = 500;
/** Counted for a window that is not empty. */
const windowBytes = 3000;

const offsetsOf = (window: HotWindow): number[] =>
  (window.since((window.firstOffset ?? 1) - 1) ?? []).map((entry) => entry.publication.offset);
const sized = (offset: number, bytes: number) =>
  publication(offset, { payload: Payload.ofMsgpack(msgpackOf(bytes)) });

/** A value that is so many bytes long. */
function msgpackOf(bytes: number): Uint8Array {
  if (bytes < 5) return Buffer.alloc(bytes, 0xc0);
  const binary = Buffer.alloc(bytes, 1);
  binary[0] = 0xc6;
  binary.writeUInt32BE(bytes - 5, 1);
  return binary;
}

function open(bytesMax?: number) {
  const windows = new HotWindows(bytesMax);
  let emptied = 0;
  const window = windows.open(() => emptied++);
  return { windows, window, emptied: () => emptied };
}

test('a window keeps so many entries, and the next one takes the oldest away', () => {
  const { window, windows } = open();
  for (const offset of range(1, entriesMax)) window.push(publication(offset), 0);
  assert.deepEqual(offsetsOf(window), range(1, entriesMax));
  const bytes = windows.bytes;
  window.push(publication(entriesMax + 1), 0);
  assert.deepEqual(offsetsOf(window), range(2, entriesMax + 1));
  assert.ok(Math.abs(windows.bytes - bytes) < 10, 'what left does not count any more');
});

test('a window keeps so many bytes, each entry counted with what it takes beside its payload', () => {
  const { window, windows } = open();
  const bytes = (windowBytesMax - windowBytes) / 8 - entryBytes;
  for (const offset of range(1, 8)) window.push(sized(offset, bytes), 0);
  assert.deepEqual([offsetsOf(window), windows.bytes], [range(1, 8), windowBytesMax]);
  window.push(sized(9, 1), 0);
  assert.deepEqual(offsetsOf(window), range(2, 9));
  window.push(sized(10, 2 * bytes), 0);
  assert.deepEqual(offsetsOf(window), range(4, 10), 'a large one takes several away');
  assert.ok(windows.bytes <= windowBytesMax);
});

test('one entry larger than a window leaves it empty, and takes the place of nothing', () => {
  const { window, windows } = open();
  window.push(sized(1, 10), 0);
  window.push(sized(2, windowBytesMax), 0);
  assert.deepEqual([window.isEmpty, windows.bytes, window.since(0)], [true, 0, undefined]);
});

test('an entry is there for five minutes, and goes with the next look or the next entry', () => {
  const { window, windows, emptied } = open();
  window.push(publication(1), 1000);
  window.push(publication(2), 2000);
  windows.expire(2000 + keptMs);
  assert.deepEqual(offsetsOf(window), [2]);
  window.push(publication(3), 2000 + keptMs);
  assert.deepEqual(offsetsOf(window), [2, 3], 'exactly so old is not too old');
  window.push(publication(4), 2001 + keptMs);
  assert.deepEqual(offsetsOf(window), [3, 4]);
  windows.expire(2002 + 2 * keptMs);
  assert.deepEqual([window.isEmpty, windows.bytes, emptied()], [true, 0, 1]);
});

test('the owner is told once that its window is empty, however that came', () => {
  const { windows, window, emptied } = open(8100);
  window.push(publication(1), 0);
  windows.expire(keptMs + 1);
  windows.expire(keptMs + 2);
  window.clear();
  assert.equal(emptied(), 1);
  window.push(publication(2), keptMs + 2);
  const other = windows.open(() => assert.fail('it is the youngest'));
  for (const offset of range(1, 3)) other.push(publication(offset), keptMs + 3);
  assert.equal(emptied(), 1, 'there was room for all');
  other.push(publication(4), keptMs + 3);
  assert.deepEqual([emptied(), window.isEmpty], [2, true]);
});

test('together windows keep so many bytes: the one that was quiet for longest gives way first, as a whole', () => {
  const windows = new HotWindows(19_000);
  const emptied: string[] = [];
  const [a, b, c] = ['a', 'b', 'c'].map((name) => windows.open(() => emptied.push(name))) as [
    HotWindow,
    HotWindow,
    HotWindow,
  ];
  for (const window of [a, b, c]) for (const offset of range(1, 3)) window.push(sized(offset, 500), 0);
  a.push(sized(4, 500), 1);
  assert.deepEqual([emptied, windows.bytes], [[], 19_000]);
  c.push(sized(4, 500), 2);
  assert.deepEqual(emptied, ['b'], 'a has had an entry since');
  for (const offset of range(5, 10)) c.push(sized(offset, 500), 3);
  assert.deepEqual(emptied, ['b', 'a']);
  assert.deepEqual([offsetsOf(c), windows.bytes], [range(1, 10), windowBytes + 10_000]);
});

test('an edit is no news: it does not put off that a window gives way', () => {
  const windows = new HotWindows(7100);
  const emptied: string[] = [];
  const [old, young] = ['old', 'young'].map((name) => windows.open(() => emptied.push(name))) as [
    HotWindow,
    HotWindow,
  ];
  old.push(publication(1), 0);
  young.push(publication(1), 1);
  old.amend(edited(9, 1, 'x'));
  young.push(sized(2, 1000), 2);
  assert.deepEqual(emptied, ['old']);
});

test('what is at hand behind an offset: all of it, a part, nothing, or not so far back', () => {
  const { window } = open();
  assert.equal(window.since(0), undefined, 'an empty window reaches nowhere');
  for (const offset of range(7, 9)) window.push(publication(offset), 0);
  const since = (offset: number) => window.since(offset)?.map((entry) => entry.publication.offset);
  assert.deepEqual([since(5), since(6), since(8), since(9), since(20)], [undefined, [7, 8, 9], [9], [], []]);
});

test('whoever comes back gets a message as it was edited last, in both encodings', () => {
  const { window } = open();
  for (const offset of [1, 2]) window.push(publication(offset), 0);
  const before = window.since(0)!.map((entry) => window.frameOf(entry, 'json'));
  window.amend(edited(3, 1, 'new text'));
  const entries = window.since(0)!;
  for (const encoding of ['json', 'msgpack'] as const) {
    const [first, second] = entries.flatMap((entry) => envelopesIn(window.frameOf(entry, encoding)));
    assert.deepEqual(
      [first!.type, first!.id, first!.data],
      ['Broadcast', 'm1', { topic: 'chat:a', offset: 1, from: 'ann', replay: true, payload: 'new text' }],
    );
    assert.equal(second!.data['payload'], 2);
  }
  assert.equal(window.frameOf(entries[1]!, 'json'), before[1], 'what was not edited is not encoded again');
});

test('of a message that was deleted only its place is left, and of its edits no word', () => {
  const { window } = open();
  window.push(publication(1, { event: 'said' }), 0);
  window.push(publication(2), 0);
  window.push(edited(3, 1, 'a secret'), 0);
  window.push(edited(4, 2, 'not it'), 0);
  window.amend(deleted(5, 1));
  const frames = window.since(0)!.map((entry) => window.frameOf(entry, 'json'));
  assert.doesNotMatch(Buffer.concat(frames).toString(), /secret|said/);
  assert.deepEqual(
    frames.flatMap(envelopesIn).map(({ type, id, data }) => [type, id, data]),
    [
      ['Deleted', 'm1', { topic: 'chat:a', offset: 1, messageId: 'm1', by: 'ann', replay: true }],
      ['Broadcast', 'm2', { topic: 'chat:a', offset: 2, from: 'ann', replay: true, payload: 2 }],
      [
        'Edited',
        'm3',
        { topic: 'chat:a', offset: 3, messageId: 'm1', by: 'ann', replay: true, payload: null },
      ],
      [
        'Edited',
        'm4',
        { topic: 'chat:a', offset: 4, messageId: 'm2', by: 'ann', replay: true, payload: 'not it' },
      ],
    ],
  );
});

test('what is left of a deleted message is counted as what it is', () => {
  const { window, windows } = open();
  window.push(sized(1, 10_000), 0);
  window.amend(deleted(2, 1));
  assert.equal(windows.bytes, windowBytes + 1 + entryBytes);
  window.clear();
  assert.equal(windows.bytes, 0);
});

test('an entry is encoded once per encoding, for all who missed it', () => {
  const { window } = open();
  window.push(publication(1), 0);
  const [entry] = window.since(0)!;
  for (const encoding of ['json', 'msgpack'] as const) {
    assert.equal(window.frameOf(entry!, encoding), window.frameOf(entry!, encoding));
  }
});

test('a frame that is kept for others is counted once, and goes with its entry', () => {
  const { window, windows } = open();
  window.push(sized(1, 1000), 0);
  window.push(sized(2, 1000), 0);
  const before = windows.bytes;
  const [entry] = window.since(0)!;
  const json = window.frameOf(entry!, 'json').length;
  assert.equal(windows.bytes, before + json);
  window.frameOf(entry!, 'json');
  assert.equal(windows.bytes, before + json, 'the second one was there');
  const msgpack = window.frameOf(entry!, 'msgpack').length;
  assert.equal(windows.bytes, before + json + msgpack);
  window.amend(edited(3, 1, 'x'));
  assert.equal(windows.bytes, before - 1000 + 2, 'an edit takes the frames away');
  for (const kept of window.since(0)!) window.frameOf(kept, 'json');
  window.clear();
  assert.equal(windows.bytes, 0);
});

test('frames that are kept make the windows that were quiet for longest give way', () => {
  const windows = new HotWindows(2 * (windowBytes + entryBytes + 1000) + 1500);
  const emptied: string[] = [];
  const [old, young] = ['old', 'young'].map((name) => windows.open(() => emptied.push(name))) as [
    HotWindow,
    HotWindow,
  ];
  for (const [index, window] of [old, young].entries()) window.push(sized(1, 1000), index);
  const [entry] = young.since(0)!;
  young.frameOf(entry!, 'msgpack');
  assert.deepEqual(emptied, []);
  young.frameOf(entry!, 'json');
  assert.deepEqual([emptied, young.isEmpty], [['old'], false], 'a JSON client came for the same');
});

test('a window keeps the bytes of a payload and nothing that was made of them', () => {
  const { window } = open();
  const value = { text: 'hello' };
  const payload = Payload.ofValue(value);
  void payload.json;
  void payload.msgpack;
  window.push(publication(1, { payload }), 0);
  window.push(publication(2), 0);
  window.amend(edited(3, 2, value));
  for (const { publication: kept } of window.since(0)!) {
    const own = kept.payload;
    assert.notEqual(own, payload);
    assert.notEqual(own.value, value, 'the decoded value is not the one that came');
    assert.deepEqual(own.value, value);
  }
});

test('what is made of a payload for those who missed it does not stay in the window', () => {
  const { window } = open();
  window.push(publication(1, { payload: Payload.ofValue({ text: 'hello' }) }), 0);
  const [entry] = window.since(0)!;
  const { payload } = entry!.publication;
  const made: string[] = [];
  for (const name of ['value', 'json'] as const) {
    const of = Object.getOwnPropertyDescriptor(Payload.prototype, name)!.get!;
    Object.defineProperty(payload, name, {
      get(this: Payload) {
        made.push(name);
        return of.call(this);
      },
    });
  }
  for (const encoding of ['json', 'msgpack'] as const) window.frameOf(entry!, encoding);
  assert.deepEqual(made, []);
});

test('a window holds on to no buffer larger than its payloads', () => {
  const { window } = open();
  const record = Buffer.alloc(4096, 0xc0);
  window.push(publication(1, { payload: Payload.ofMsgpack(record.subarray(100, 120)) }), 0);
  window.push(publication(2), 0);
  window.amend(
    publication(3, {
      type: 'Edited',
      target: 'm2' as never,
      payload: Payload.ofMsgpack(record.subarray(0, 30)),
    }),
  );
  assert.deepEqual(
    window.since(0)!.map(({ publication: { payload } }) => payload.msgpack.buffer.byteLength),
    [20, 30],
  );
  record.fill(0);
  assert.deepEqual(
    new Set(window.since(0)![0]!.publication.payload.msgpack),
    new Set([0xc0]),
    'it is a copy',
  );
});

test('to forget empties all windows and tells their owners, and they go on', () => {
  const windows = new HotWindows();
  const emptied: string[] = [];
  const all = ['a', 'b', 'c'].map((name) => windows.open(() => emptied.push(name)));
  for (const window of all.slice(0, 2)) {
    window.push(publication(1), 0);
    window.frameOf(window.since(0)![0]!, 'json');
  }
  windows.forget();
  assert.deepEqual([emptied, windows.bytes], [['a', 'b'], 0]);
  for (const window of all) assert.equal(window.since(0), undefined, 'none reaches back');
  all[0]!.push(publication(2), 1);
  assert.deepEqual(offsetsOf(all[0]!), [2]);
});

/** Somebody comes back who missed one entry. */
function missOne(window: HotWindow, below: (limit: number) => number): void {
  const entries = window.since((window.firstOffset ?? 1) - 1) ?? [];
  const entry = entries[below(entries.length)];
  if (entry !== undefined) window.frameOf(entry, below(2) === 0 ? 'json' : 'msgpack');
}

function framesBytes({ json, msgpack }: HotEntry['frames']): number {
  return (json?.length ?? 0) + (msgpack?.length ?? 0);
}

test('whatever is pushed, missed, edited, deleted and expired, the count of bytes is the sum of what is there', () => {
  const allBytesMax = 2 * windowBytesMax;
  for (const seed of range(1, 20)) {
    const random = seededRandom(seed);
    const below = (limit: number) => Math.floor(random.next() * limit);
    const windows = new HotWindows(allBytesMax);
    const all = range(1, 5).map(() => ({ window: windows.open(() => {}), end: 0 }));
    let nowMs = 0;
    for (let step = 0; step < 500; step++) {
      nowMs += below(4000);
      const log = all[below(all.length)]!;
      const draw = below(10);
      if (draw < 6) log.window.push(sized(++log.end, 5 + below(60_000)), nowMs);
      else if (draw === 6) missOne(log.window, below);
      else if (draw < 8) log.window.amend(edited(0, 1 + below(log.end + 1), 'x'.repeat(below(20_000))));
      else if (draw < 9) log.window.amend(deleted(0, 1 + below(log.end + 1)));
      else windows.expire(nowMs);
      const entries = all.flatMap(({ window }) => window.since((window.firstOffset ?? 1) - 1) ?? []);
      const usedCount = all.filter(({ window }) => !window.isEmpty).length;
      const bytes = entries.reduce(
        (sum, { publication: { payload }, frames }) =>
          sum + payload.msgpack.length + framesBytes(frames) + entryBytes,
        usedCount * windowBytes,
      );
      assert.equal(windows.bytes, bytes, `seed ${seed}, step ${step}`);
      if (draw < 6) assert.ok(bytes <= allBytesMax, `seed ${seed}, step ${step}: ${bytes} bytes`);
      for (const { window } of all) {
        const first = window.firstOffset ?? 0;
        assert.deepEqual(
          offsetsOf(window),
          range(first, first + offsetsOf(window).length - 1),
          `seed ${seed}`,
        );
      }
    }
  }
});
