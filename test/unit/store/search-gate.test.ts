/** Few searches at a time: how many run, how many wait, and that a place is never lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreUnavailableError } from '../../../src/store/history-store.ts';
import { SearchGate } from '../../../src/store/search-gate.ts';
import { range } from '../log/log-world.ts';

const runningMax = 2;
const waitingMax = 16;

/** Searches that end when the test says so, by number from 1. */
function open() {
  const gate = new SearchGate();
  /** In the order in which they began. */
  const begun: number[] = [];
  const ends = new Map<number, { resolve: () => void; reject: (error: Error) => void }>();
  const results: (number | Error)[] = [];
  let last = 0;
  const search = (count = 1) => {
    for (const number of range(last + 1, last + count)) {
      const answer = gate.run(() => {
        begun.push(number);
        return new Promise<number>((resolve, reject) =>
          ends.set(number, { resolve: () => resolve(number), reject }),
        );
      });
      answer.then(
        (found) => results.push(found),
        (error: Error) => results.push(error),
      );
    }
    last += count;
    return settled();
  };
  const end = (number: number, failure?: Error) => {
    const search = ends.get(number);
    assert.ok(search, `${number} has begun`);
    if (failure === undefined) search.resolve();
    else search.reject(failure);
    return settled();
  };
  return { search, end, begun, results };
}

/** Everything that promises had to say. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('two searches run at once, and the next one begins when one of them has ended', async () => {
  const { search, end, begun, results } = open();
  await search(4);
  assert.deepEqual(begun, [1, 2]);
  await end(2);
  assert.deepEqual([begun, results], [[1, 2, 3], [2]]);
  await end(1);
  await end(3);
  await end(4);
  assert.deepEqual(
    [begun, results],
    [
      [1, 2, 3, 4],
      [2, 1, 3, 4],
    ],
  );
});

test('sixteen searches wait, and one more is refused without being begun', async () => {
  const { search, end, begun, results } = open();
  await search(runningMax + waitingMax);
  assert.equal(results.length, 0);
  await search(1);
  assert.ok(results[0] instanceof StoreUnavailableError);
  await end(1);
  await search(1);
  assert.deepEqual(results.slice(1), [1], 'there was room again');
  for (const number of range(2, runningMax + waitingMax)) await end(number);
  await end(20);
  assert.deepEqual([begun.length, results.length, begun.includes(19)], [19, 20, false]);
});

test('a search that fails gives its place on as one that is answered does', async () => {
  const { search, end, begun, results } = open();
  await search(runningMax + 3);
  const failure = new Error('the database is away');
  for (const number of range(1, 5)) await end(number, failure);
  assert.deepEqual([begun, results], [range(1, 5), range(1, 5).map(() => failure)]);
  await search(3);
  assert.deepEqual(begun, range(1, 7), 'two places are left, no more and no fewer');
});

test('a search that throws at once gives its place on', async () => {
  const gate = new SearchGate();
  const failure = new Error('no such terms');
  const throwing = () => {
    throw failure;
  };
  for (let count = 0; count < 5; count++) await assert.rejects(gate.run(throwing), failure);
  assert.equal(await gate.run(async () => 'found'), 'found');
});

test('a search that comes when one has just ended does not overtake those who wait', async () => {
  const { search, end, begun } = open();
  await search(3);
  const ended = end(1);
  await Promise.all([ended, search(1)]);
  assert.deepEqual(begun, [1, 2, 3]);
  await end(2);
  assert.deepEqual(begun, [1, 2, 3, 4]);
});
