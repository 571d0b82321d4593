/** Marks on their way to the store: one for each reader and kind, in batches, kept until they are written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TopicKey, UserId } from '#proto/names.ts';
import type { ReceiptMark } from '../../../src/store/history-store.ts';
import { LogWorld, range, topic } from './log-world.ts';

const waitMs = 200;
const batchMax = 1000;
const waitingMax = 20_000;

function open() {
  const world = new LogWorld();
  const add = (user: string, offset: number, fields: Partial<ReceiptMark> = {}) =>
    world.marks.add({ topic, user: user as UserId, kind: 'delivered', offset, atMs: 7, ...fields });
  /** Marks of the last write. */
  const written = () => (world.store.asked.at(-1)?.[1] as { marks: ReceiptMark[] } | undefined)?.marks ?? [];
  return { world, add, written };
}

test('a mark waits a moment for others, and all are one write', () => {
  const { world, add, written } = open();
  for (const user of ['ann', 'ben', 'cat']) assert.equal(add(user, 1), 'taken');
  world.pass(waitMs - 50);
  assert.equal(world.store.asked.length, 0);
  world.pass(100);
  assert.equal(world.store.asked.length, 1);
  assert.deepEqual(written()[1], { topic, user: 'ben', kind: 'delivered', offset: 1, atMs: 7 });
  world.store.settle();
  assert.deepEqual(
    world.store.marks.map(({ user }) => user),
    ['ann', 'ben', 'cat'],
  );
  world.pass(2 * waitMs);
  assert.deepEqual(
    [world.store.asked.length, world.timers.size],
    [1, 0],
    'what is written is not written again',
  );
});

test('of one reader, topic and kind the farthest mark is written, whatever came behind it', () => {
  const { world, add, written } = open();
  for (const offset of [3, 9, 9, 4]) add('ann', offset, { atMs: offset });
  add('ann', 2, { kind: 'read' });
  add('ann', 5, { topic: 'default|other' as TopicKey });
  world.pass(waitMs + 50);
  assert.deepEqual(
    written().map(({ topic: of, kind, offset }) => [of, kind, offset]),
    [
      [topic, 'delivered', 9],
      [topic, 'read', 2],
      ['default|other', 'delivered', 5],
    ],
  );
});

test('a write is bounded, and the rest is the next one', () => {
  const { world, add, written } = open();
  for (const index of range(1, 2 * batchMax + 1)) add(`user-${index}`, 1);
  const sizes: number[] = [];
  for (let round = 0; round < 4; round++) {
    world.pass(waitMs + 50);
    if (world.store.waitingCount > 0) sizes.push(written().length);
    world.store.settle();
  }
  assert.deepEqual(sizes, [batchMax, batchMax, 1]);
  assert.equal(new Set(world.store.marks.map(({ user }) => user)).size, 2 * batchMax + 1);
});

test('a write that failed, or found no store, is tried again with what is waiting then', () => {
  const { world, add } = open();
  add('ann', 1);
  add('ben', 1);
  world.pass(waitMs + 50);
  world.store.fail();
  add('ann', 2);
  world.store.door = 'down';
  world.pass(waitMs + 50);
  world.store.door = 'full';
  world.pass(waitMs + 50);
  world.store.door = 'sent';
  world.pass(waitMs + 50);
  world.store.settle();
  assert.deepEqual(
    world.store.marks.map(({ user, offset }) => [user, offset]),
    [
      ['ann', 2],
      ['ben', 1],
    ],
  );
});

test('a mark that comes while an older one is written is written behind it', () => {
  const { world, add } = open();
  add('ann', 1);
  world.pass(waitMs + 50);
  add('ann', 2);
  world.store.settle();
  world.pass(waitMs + 50);
  world.store.settle();
  assert.deepEqual(
    world.store.marks.map(({ offset }) => offset),
    [1, 2],
  );
});

test('past the bound a mark of somebody new is refused, and one that says more of a known one is taken', () => {
  const { world, add } = open();
  world.store.door = 'down';
  for (const index of range(1, waitingMax)) assert.equal(add(`user-${index}`, 1), 'taken');
  assert.equal(add('one-more', 1), 'full');
  assert.equal(add('user-7', 2), 'taken');
  world.store.door = 'sent';
  world.pass(waitMs + 50);
  world.store.settle();
  assert.equal(add('one-more', 1), 'taken', 'there is room again');
});
