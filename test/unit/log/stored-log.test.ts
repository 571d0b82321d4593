/** A log whose record is the store: where it ends, and every entry of it once and in order, whatever was lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import type { HotLog } from '../../../src/log/hot-log.ts';
import { StoredLog } from '../../../src/log/stored-log.ts';
import { LogWorld, publication, range, topic } from './log-world.ts';

const pageMax = 200;
const retryMs = 500;
const waitingMax = 10_000;

function open(committed = 0) {
  const world = new LogWorld();
  world.commit(committed);
  const log = new StoredLog(topic, world.ctx, world.owner);
  const known: (HotLog | undefined)[] = [];
  const askEnd = () => log.whenKnown((hot) => known.push(hot));
  /** The word of the entry at `offset`, which is stored. */
  const hear = (offset: number) => log.onStored(world.publicationAt(offset));
  return { world, log, known, askEnd, hear };
}

/** A log whose end is known: `committed`. */
function openKnown(committed = 0) {
  const opened = open(committed);
  opened.askEnd();
  opened.world.store.settle();
  return opened;
}

test('the store is asked once for the end, for all who wait, and nobody is asked when it is known', () => {
  const { world, log, known, askEnd } = open(3);
  for (let count = 0; count < 3; count++) askEnd();
  assert.deepEqual([known.length, log.isIdle], [0, false]);
  assert.deepEqual(world.store.asked, [['page', { topic, view: 'log', limit: 0 }]]);
  world.store.settle();
  assert.deepEqual(
    known.map((hot) => [hot?.position, hot?.epoch]),
    [
      [3, 'e1'],
      [3, 'e1'],
      [3, 'e1'],
    ],
  );
  askEnd();
  assert.equal(known.length, 4);
  assert.equal(world.store.asked.length, 1);
  assert.equal(log.isIdle, true);
});

test('when the store is away those who wait are told so, and the next one asks anew', () => {
  const { world, log, known, askEnd } = open(3);
  for (const door of ['down', 'full'] as const) {
    world.store.door = door;
    askEnd();
    assert.deepEqual([known.splice(0), log.isIdle], [[undefined], true]);
  }
  world.store.door = 'sent';
  askEnd();
  askEnd();
  world.store.fail();
  assert.deepEqual([known.splice(0), log.isIdle], [[undefined, undefined], true]);
  askEnd();
  world.store.settle();
  assert.equal(known[0]?.position, 3);
});

test('those who wait for the end are bounded: whoever comes beyond is told to come back', () => {
  const { world, known, askEnd } = open();
  for (let count = 0; count < waitingMax; count++) askEnd();
  assert.equal(known.length, 0);
  askEnd();
  assert.deepEqual(known, [undefined]);
  world.store.settle();
  assert.equal(known.length, waitingMax + 1);
});

test('whoever has no patience is told after it that nothing is known; the others wait on, and nobody is told twice', () => {
  const { world, log, known, askEnd } = open(3);
  const hasty: (HotLog | undefined)[] = [];
  log.whenKnown((hot) => hasty.push(hot), 1000);
  askEnd();
  world.pass(950);
  assert.equal(hasty.length, 0);
  world.pass(100);
  assert.deepEqual([hasty, known.length], [[undefined], 0]);
  world.store.settle();
  assert.deepEqual([hasty.length, known[0]?.position], [1, 3]);
  log.whenKnown((hot) => hasty.push(hot), 1000);
  world.pass(2000);
  assert.equal(hasty.length, 2, 'what is known is told at once, and once');
});

test('the owner, who may be idle since somebody lost patience, hears of the answer that comes at last', () => {
  for (const answer of ['settle', 'fail'] as const) {
    const { world, log } = open();
    log.whenKnown(() => {}, 1000);
    world.pass(1050);
    assert.deepEqual([log.isIdle, world.coldCount], [false, 0]);
    world.store[answer]();
    assert.deepEqual([log.isIdle, world.coldCount], [true, 1]);
  }
});

test('[REC2] entries are emitted in order, and one that is heard of twice is emitted once', () => {
  const { world, hear } = openKnown();
  world.commit(4);
  for (const offset of [1, 2, 2, 1, 3, 4, 4]) hear(offset);
  assert.deepEqual(world.emittedOffsets, [1, 2, 3, 4]);
});

test('[REC2] an entry of which only its place is heard is read from the store, with all that lie before it', () => {
  const { world, log, hear } = openKnown(2);
  world.commit(3);
  log.onHeard(2);
  assert.equal(world.store.waitingCount, 0, 'it was there before the end was known');
  log.onHeard(4);
  hear(5);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, [3, 4, 5]);
  log.onHeard(5);
  assert.equal(world.store.waitingCount, 0);
});

test('[REC2] such a read that failed is tried again until it is there', () => {
  const { world, log } = openKnown();
  world.commit(1);
  log.onHeard(1);
  world.store.fail();
  assert.deepEqual([world.emittedOffsets, log.isIdle], [[], false]);
  world.pass(retryMs);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, [1]);
});

test('an entry that was there before the end was known is not emitted', () => {
  const { world, hear } = openKnown(3);
  hear(2);
  hear(3);
  assert.deepEqual(world.emittedOffsets, []);
  world.commit(1);
  hear(4);
  assert.deepEqual(world.emittedOffsets, [4]);
});

test('the word of an entry says where the end is, also while the store is being asked for it', () => {
  const { world, known, askEnd, hear } = open(7);
  askEnd();
  hear(6);
  hear(7);
  assert.deepEqual(world.emittedOffsets, [6, 7]);
  world.store.settle();
  assert.equal(known[0]?.position, 7);
  assert.deepEqual(world.emittedOffsets, [6, 7]);
});

test('[REC2] entries whose word was lost are read from the store, before the one that told of them', () => {
  const { world, log, hear } = openKnown();
  world.commit(5);
  hear(1);
  hear(5);
  assert.deepEqual([world.emittedOffsets, log.isIdle], [[1], false]);
  assert.deepEqual(world.store.asked.at(-1), [
    'page',
    { topic, view: 'log', limit: pageMax, after: 1, before: 6 },
  ]);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, range(1, 5));
  assert.deepEqual(
    world.emitted.map(({ id }) => id),
    world.store.entries(topic).map(({ messageId }) => messageId),
  );
});

test('[REC2] a gap of more than a page is read page by page, up to what was heard of meanwhile', () => {
  const { world, hear } = openKnown();
  const count = 2 * pageMax + 30;
  world.commit(count);
  hear(count);
  world.store.answerNext();
  assert.deepEqual(world.emittedOffsets, range(1, pageMax));
  world.commit(1);
  hear(count + 1);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, range(1, count + 1));
});

test('[REC2] a word that comes late, while the gap is read, is emitted once and in its place', () => {
  const { world, hear } = openKnown();
  world.commit(4);
  hear(3);
  hear(1);
  hear(2);
  assert.deepEqual(world.emittedOffsets, [1, 2]);
  world.store.settle();
  hear(4);
  hear(3);
  assert.deepEqual(world.emittedOffsets, [1, 2, 3, 4]);
});

test('[REC2] a gap that could not be read is read again after a while, until it is closed', () => {
  const { world, log, hear } = openKnown();
  world.commit(3);
  hear(3);
  world.store.fail();
  world.pass(retryMs - 50);
  assert.equal(world.store.waitingCount, 0);
  world.store.door = 'down';
  world.pass(100);
  assert.deepEqual([world.emittedOffsets, log.isIdle], [[], false]);
  world.store.door = 'sent';
  world.pass(retryMs + 50);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, [1, 2, 3]);
  assert.equal(world.timers.size, 0, 'and then no more');
});

test('[REC2] a gap that shows while the end is being asked for is closed when that is answered', () => {
  const { world, askEnd, hear } = open(3);
  askEnd();
  hear(1);
  hear(3);
  assert.deepEqual(world.emittedOffsets, [1]);
  world.store.settle();
  assert.deepEqual(world.emittedOffsets, [1, 2, 3]);
});

test('what was missed is emitted as the store has it now: a deleted message is its place', () => {
  const { world, hear } = openKnown();
  world.commit(2);
  const { messageId } = world.store.entries(topic)[0]!;
  world.commit(1, { kind: 'deleted', target: messageId });
  hear(3);
  world.store.settle();
  assert.deepEqual(
    world.emitted.map(({ type, offset, target }) => [type, offset, target]),
    [
      ['Deleted', 1, messageId],
      ['Broadcast', 2, undefined],
      ['Deleted', 3, messageId],
    ],
  );
});

test('how far back the store reaches is asked for anew, and what is gone is out of reach then', () => {
  const { world, log, known } = openKnown(10);
  const hot = known[0]!;
  const fresh: boolean[] = [];
  const refresh = () => log.refresh(hot, 3, (isFresh) => fresh.push(isFresh));
  const since = { offset: 3, epoch: 'e1' };
  world.store.prune(topic, 7);
  assert.equal(hot.join(since, 'json', undefined).recovered, true, 'it is not known yet');
  refresh();
  world.store.settle();
  assert.equal(hot.join(since, 'json', undefined).recovered, false);
  refresh();
  world.store.fail();
  world.store.door = 'down';
  refresh();
  assert.deepEqual(fresh, [true, false, false]);
});

test('[REC2] what somebody has read that was not heard of here is emitted before they are answered', () => {
  const { world, log, known } = openKnown(2);
  const answers: [offset: number, isFresh: boolean, emitted: number[]][] = [];
  const refresh = (offset: number) =>
    log.refresh(known[0]!, offset, (isFresh) => answers.push([offset, isFresh, world.emittedOffsets]));
  world.commit(pageMax + 8);
  refresh(5);
  refresh(99_999);
  assert.equal(log.isIdle, true, 'a question alone keeps nothing');
  world.store.answerNext();
  world.store.answerNext();
  assert.deepEqual([answers, log.isIdle], [[], false]);
  world.store.settle();
  assert.deepEqual(
    answers.map(([offset, isFresh]) => [offset, isFresh]),
    [
      [5, true],
      [99_999, true],
    ],
  );
  assert.deepEqual([answers[0]![2], answers[1]![2]], [[3, 4, 5], range(3, pageMax + 10)]);
});

test('who asks for what was not heard of is told when it could not be read, and the gap is closed later', () => {
  const { world, log, known } = openKnown(2);
  const answers: boolean[] = [];
  world.commit(3);
  log.refresh(known[0]!, 5, (isFresh) => answers.push(isFresh));
  world.store.answerNext();
  world.store.fail();
  assert.deepEqual([answers, world.emittedOffsets], [[false], []]);
  world.pass(retryMs + 50);
  world.store.settle();
  assert.deepEqual([answers, world.emittedOffsets], [[false], [3, 4, 5]]);
});

test('a log is not idle while something of it is at hand', () => {
  const { world, log, hear } = openKnown();
  world.commit(1);
  hear(1);
  assert.equal(log.isIdle, false);
  world.clock.advance(5 * 60_000 + 1);
  world.windows.expire(world.clock.monotonicMs());
  assert.deepEqual([log.isIdle, world.coldCount], [true, 1]);
});

test('[REC2] words lost, late, twice or in any order, reads that fail: every entry is emitted once and in order', () => {
  for (const seed of range(1, 60)) {
    const random = seededRandom(seed);
    const below = (limit: number) => Math.floor(random.next() * limit);
    const { world, hear } = openKnown(below(3) * 5);
    const first = world.store.entries(topic).length + 1;
    let last = first - 1;
    const late: number[] = [];
    for (let step = 0; step < 200; step++) {
      const draw = below(12);
      if (draw < 5) {
        world.commit(1);
        last++;
        const fate = below(4);
        if (fate < 2) hear(last);
        if (fate === 2) late.push(last);
      } else if (draw < 7 && late.length > 0) hear(late.splice(below(late.length), 1)[0] as number);
      else if (draw < 8 && last >= first) hear(first + below(last - first + 1));
      else if (draw < 9) world.store.fail();
      else if (draw < 11) world.store.answerNext();
      else world.pass(50 * below(14));
      const { emittedOffsets } = world;
      assert.deepEqual(
        emittedOffsets,
        range(first, first + emittedOffsets.length - 1),
        `seed ${seed}, ${step}`,
      );
    }
    world.commit(1);
    hear(++last);
    for (let round = 0; round < 4; round++) {
      world.store.settle();
      world.pass(retryMs + 50);
    }
    assert.deepEqual(world.emittedOffsets, range(first, last), `seed ${seed}`);
  }
});

test('a publication that its home made itself is emitted as it is: it is not read again', () => {
  const { world, log } = openKnown();
  world.commit(1);
  const own = publication(1);
  log.onStored(own);
  assert.equal(world.emitted[0], own);
});
