/** Batches that may be stored: given again until it is known, and nobody waits behind them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#kit/clock.ts';
import { GroupCommit, groupCommitLimits } from '../../../src/store/group-commit.ts';
import { type AppendEntry, StoreUnavailableError } from '../../../src/store/history-store.ts';
import { eventually } from '../../kit/eventually.ts';

/** A store that is away until it is told to come back; `isFateUnknown` is what its failures say. */
function open(isFateUnknown: boolean) {
  const store = { isAway: true, tries: [] as boolean[][] };
  const append = async (entries: readonly AppendEntry[]) => {
    store.tries.push(entries.map(({ isRepeat }) => isRepeat));
    if (store.isAway) throw new StoreUnavailableError('away', { isFateUnknown });
    return entries.map(
      (_, index) => ({ state: 'stored', offset: index + 1, copyOffset: undefined }) as const,
    );
  };
  const limits = { ...groupCommitLimits, repeatMs: 5 };
  const commits = new GroupCommit({ append }, limits, systemClock, { onBatch() {} });
  const settled: string[] = [];
  const submit = (name: string, isRepeat = false) =>
    commits.submit({ payload: new Uint8Array(1), isRepeat } as AppendEntry, (result) =>
      settled.push(`${name} ${typeof result === 'string' ? result : result.state}`),
    );
  return { store, commits, settled, submit };
}

test('a batch of unknown fate is given again, as repeats, until the store knows', async () => {
  const { store, commits, settled, submit } = open(true);
  submit('a');
  await eventually('it was tried again', () => store.tries.length >= 3);
  assert.deepEqual([store.tries[0], store.tries[1], settled], [[false], [true], []]);
  store.isAway = false;
  await commits.settled();
  assert.deepEqual(settled, ['a stored']);
});

test('of a repeat nobody says that nothing is stored before the store has looked', async () => {
  const { store, commits, settled, submit } = open(false);
  submit('a', true);
  submit('b');
  await eventually('they were tried again', () => store.tries.length >= 3);
  assert.deepEqual(settled, []);
  store.isAway = false;
  await commits.settled();
  assert.deepEqual(settled, ['a stored', 'b stored']);
});

test('what waits behind a batch in doubt is refused, what comes too, and repeats stay', async () => {
  const { store, commits, settled, submit } = open(true);
  submit('a');
  await Promise.resolve();
  assert.equal(submit('b'), 'queued', 'while a is given for the first time');
  await eventually('a is in doubt', () => store.tries.length >= 2);
  assert.deepEqual(settled, ['b unavailable']);
  assert.equal(submit('late'), 'unavailable');
  assert.equal(submit('r', true), 'queued');
  store.isAway = false;
  await commits.settled();
  assert.deepEqual(settled, ['b unavailable', 'a stored', 'r stored']);
  assert.equal(submit('after'), 'queued', 'and the store takes more again');
  await commits.settled();
  assert.equal(settled.at(-1), 'after stored');
});

test('a batch that fails for good, and was never given before, is refused at once', async () => {
  const { store, commits, settled, submit } = open(false);
  submit('a');
  await commits.settled();
  assert.deepEqual([settled, store.tries.length], [['a unavailable'], 1]);
});
