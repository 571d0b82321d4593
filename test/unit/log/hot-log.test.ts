/** What somebody who subscribes, or comes back, is told by a log as its home has it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { HotLog } from '../../../src/log/hot-log.ts';
import { HotWindows } from '../../../src/log/hot-windows.ts';
import { compileFilter, type Filter } from '../../../src/routing/filter.ts';
import type { Joined, Since } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { envelopesIn } from '../topic/topic-world.ts';
import { deleted, edited, publication, range, replayedOffsets } from './log-world.ts';

const replayBytesMax = 64 * 1024;
const keptMs = 5 * 60_000;

interface Opened {
  firstOffset?: number;
  lastOffset?: number;
  isStored?: boolean;
}

/** A log that ends at `lastOffset`, of which nothing is at hand. */
function open({ firstOffset = 1, lastOffset = 0, isStored = true }: Opened = {}) {
  const windows = new HotWindows();
  let coldCount = 0;
  const log = new HotLog({ epoch: 'e1', firstOffset, lastOffset, isStored }, windows, () => coldCount++);
  const push = (count: number, size = 1) => {
    for (let index = 0; index < count; index++) {
      const offset = log.position + 1;
      log.push(publication(offset, { payload: Payload.ofValue('x'.repeat(size)) }), 0);
    }
  };
  return { log, windows, push, coldCount: () => coldCount };
}

const since = (offset: number, upTo?: number): Since => ({ offset, epoch: 'e1', upTo });
const told = ({ isLive, recovered, replay }: Joined) => [
  isLive,
  recovered,
  replay && replayedOffsets(replay),
];

test('whoever asks for nothing is live at the end, and is given nothing', () => {
  for (const isStored of [true, false]) {
    const { log, push } = open({ isStored });
    push(3);
    assert.deepEqual(log.join(undefined, 'json', undefined), {
      position: { offset: 3, epoch: 'e1' },
      isLive: true,
    });
  }
});

test('[REC1] whoever has a part gets the rest and is live behind it', () => {
  for (const isStored of [true, false]) {
    const { log, push } = open({ isStored });
    push(5);
    for (const encoding of ['json', 'msgpack'] as const) {
      const joined = log.join(since(2), encoding, undefined);
      assert.deepEqual(joined.position, { offset: 5, epoch: 'e1' });
      assert.deepEqual(told(joined), [true, true, [3, 4, 5]]);
      assert.deepEqual([joined.replay?.upTo, joined.replay?.frameCount], [5, 3]);
      const envelopes = envelopesIn(joined.replay!.frames);
      assert.ok(envelopes.every(({ data }) => data['replay'] === true));
    }
    assert.deepEqual(told(log.join(since(0), 'json', undefined)), [true, true, range(1, 5)]);
  }
});

test('whoever has everything has recovered, and is given nothing', () => {
  for (const [isStored, count] of [
    [true, 3],
    [false, 3],
    [true, 0],
    [false, 0],
  ] as const) {
    const { log, push } = open({ isStored });
    push(count);
    assert.deepEqual(told(log.join(since(count), 'json', undefined)), [true, true, undefined]);
  }
});

test('a position of another life of the topic is out of reach: live, and told so', () => {
  const { log, push } = open();
  push(3);
  for (const offset of [0, 2, 3, 9]) {
    const joined = log.join({ offset, epoch: 'e0' }, 'json', undefined);
    assert.deepEqual([joined.position.offset, ...told(joined)], [3, true, false, undefined]);
  }
});

test('a position beyond the end is out of reach: live, and told so', () => {
  const { log, push } = open();
  push(3);
  assert.deepEqual(told(log.join(since(4), 'json', undefined)), [true, false, undefined]);
});

test('what is stored and not at hand can be had, but not here: not live, and nothing yet', () => {
  const { log, push } = open({ lastOffset: 10 });
  push(3);
  for (const offset of [0, 9]) {
    const joined = log.join(since(offset), 'json', undefined);
    assert.deepEqual([joined.position.offset, ...told(joined)], [13, false, true, undefined]);
  }
  assert.deepEqual(told(log.join(since(10), 'json', undefined)), [true, true, [11, 12, 13]]);
});

test('what a cached topic has not at hand is out of reach', () => {
  const { log, windows, push } = open({ isStored: false });
  push(302);
  assert.deepEqual(told(log.join(since(1), 'json', undefined)), [true, false, undefined]);
  assert.deepEqual(told(log.join(since(2), 'json', undefined)).slice(0, 2), [true, true]);
  windows.expire(keptMs + 1);
  assert.deepEqual(told(log.join(since(301), 'json', undefined)), [true, false, undefined]);
  assert.deepEqual(told(log.join(since(302), 'json', undefined)), [true, true, undefined]);
});

test('what retention has taken away is out of reach, the entry before the oldest one is not', () => {
  const { log } = open({ firstOffset: 5, lastOffset: 10 });
  assert.deepEqual(told(log.join(since(3), 'json', undefined)), [true, false, undefined]);
  assert.deepEqual(told(log.join(since(4), 'json', undefined)), [false, true, undefined]);
  log.onFirstOffset(8);
  assert.deepEqual(told(log.join(since(4), 'json', undefined)), [true, false, undefined]);
  assert.deepEqual(told(log.join(since(7), 'json', undefined)), [false, true, undefined]);
  log.onFirstOffset(3);
  assert.deepEqual(
    told(log.join(since(4), 'json', undefined)),
    [false, true, undefined],
    'an archive was restored',
  );
});

test('with an end of what is missed nothing behind it is given, and that is all of it', () => {
  const { log, push } = open();
  push(10);
  assert.deepEqual(told(log.join(since(2, 5), 'json', undefined)), [true, true, [3, 4, 5]]);
  assert.deepEqual(told(log.join(since(5, 5), 'json', undefined)), [true, true, undefined]);
  assert.deepEqual(told(log.join(since(7, 5), 'json', undefined)), [true, true, undefined]);
  assert.deepEqual(
    told(log.join(since(8, 99), 'json', undefined)),
    [true, true, [9, 10]],
    'there is no more',
  );
  const cold = open({ lastOffset: 10 }).log;
  assert.deepEqual(told(cold.join(since(10, 7), 'json', undefined)), [true, true, undefined]);
  assert.deepEqual(told(cold.join(since(2, 7), 'json', undefined)), [false, true, undefined]);
});

test('[REC1] one answer is bounded: what is left follows, and only then the subscriber is live', () => {
  const { log, push } = open();
  push(40, 10_000);
  const answers: number[][] = [];
  let have = 0;
  for (;;) {
    const joined = log.join(since(have), 'json', undefined);
    assert.equal(joined.recovered, true);
    assert.ok(joined.replay!.frames.length < replayBytesMax + 11_000);
    answers.push(replayedOffsets(joined.replay));
    have = joined.replay!.upTo;
    assert.equal(joined.isLive, have === 40);
    if (joined.isLive) break;
  }
  assert.ok(answers.length > 4);
  assert.deepEqual(answers.flat(), range(1, 40));
});

test('an entry larger than one answer is an answer of its own', () => {
  const { log, push } = open();
  push(1, 2 * replayBytesMax);
  push(1, 10);
  const first = log.join(since(0), 'json', undefined);
  assert.deepEqual([told(first), first.replay?.upTo], [[false, true, [1]], 1]);
  assert.deepEqual(told(log.join(since(1), 'json', undefined)), [true, true, [2]]);
});

function filterOf(conditions: Record<string, unknown>): Filter {
  const filter = compileFilter(conditions);
  assert.ok(typeof filter === 'function', String(filter));
  return filter;
}

test('with a filter only what it lets pass is given, and what becomes of messages', () => {
  const { log } = open();
  for (const offset of range(1, 4)) log.push(publication(offset, { event: offset % 2 ? 'odd' : 'even' }), 0);
  log.push(edited(5, 2, 'x'), 0);
  log.push(deleted(6, 1), 0);
  const joined = log.join(since(0), 'json', filterOf({ event: 'even' }));
  assert.deepEqual(told(joined), [true, true, [1, 2, 4, 5, 6]], 'the place of the deleted one is told');
  assert.deepEqual([joined.replay?.upTo, joined.replay?.frameCount], [6, 5]);
});

test('[REC1] with a filter that lets nothing pass all was missed, and nothing is left to get', () => {
  const { log, push } = open();
  push(7, 50_000);
  const joined = log.join(since(0), 'json', filterOf({ event: 'never' }));
  assert.deepEqual([told(joined), joined.replay?.upTo, joined.replay?.frameCount], [[true, true, []], 7, 0]);
});

test('a log asks the store about what is behind its window or beyond its end, and only where it is stored', () => {
  const { log, push } = open({ lastOffset: 10 });
  push(2);
  const canAnswer = [0, 9, 10, 11, 12, 13].map((offset) => log.canAnswer(since(offset)));
  assert.deepEqual(canAnswer, [false, false, true, true, true, false]);
  assert.equal(log.canAnswer({ offset: 0, epoch: 'e0' }), true, 'another life is no question');
  const cached = open({ isStored: false, lastOffset: 10 });
  assert.deepEqual([cached.log.canAnswer(since(0)), cached.log.canAnswer(since(99))], [true, true]);
});

test('entries between two offsets, both excluded, as far as they are at hand', () => {
  const { log, push } = open({ lastOffset: 10 });
  assert.deepEqual(log.between(0, 99), []);
  push(5);
  const between = (after: number, before: number) =>
    log.between(after, before).map((entry) => entry.publication.offset);
  assert.deepEqual(between(0, 99), range(11, 15));
  assert.deepEqual(between(12, 15), [13, 14]);
  assert.deepEqual([between(15, 99), between(13, 14), between(0, 11)], [[], [], []]);
});

test('a log is cold when nothing is at hand, and says so once', () => {
  const { log, windows, push, coldCount } = open();
  assert.equal(log.isCold, true);
  push(2);
  assert.equal(log.isCold, false);
  windows.expire(keptMs + 1);
  assert.deepEqual([log.isCold, coldCount(), log.position], [true, 1, 2]);
});

test('[REC1] at any moment, from any position, answers together are what is behind it, each once and in order', () => {
  for (const seed of range(1, 30)) {
    const random = seededRandom(seed);
    const below = (limit: number) => Math.floor(random.next() * limit);
    const start = below(3) * 50;
    const { log, windows, push } = open({ lastOffset: start });
    for (let step = 0; step < 60; step++) {
      push(below(30), 1 + below(9000));
      if (below(20) === 0) windows.expire(keptMs + 1);
      let have = below(log.position + 1);
      const [from, end] = [have, log.position];
      const got: number[] = [];
      for (;;) {
        const joined = log.join(since(have), 'msgpack', undefined);
        assert.equal(joined.recovered, true, `seed ${seed}`);
        got.push(...replayedOffsets(joined.replay));
        if (joined.isLive) break;
        // Not at hand: read from the store, one entry at a time.
        have = joined.replay?.upTo ?? have + 1;
        if (joined.replay === undefined) got.push(have);
      }
      assert.deepEqual(got, range(from + 1, end), `seed ${seed}, step ${step}`);
    }
  }
});
