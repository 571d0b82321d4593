/** Group commit: batches by themselves, in order, bounded, each settled once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GroupCommit, groupCommitLimits } from '../../../src/store/group-commit.ts';
import type { AppendEntry, AppendResult, HistoryStore } from '../../../src/store/history-store.ts';
import { SqliteHistoryStore } from '../../../src/store/sqlite/sqlite-history-store.ts';
import { entry } from '../../contract/entries.ts';
import { ManualClock } from '../protect/manual-clock.ts';

/** A store whose commits end when the test says so. */
class SlowStore extends SqliteHistoryStore {
  readonly batches: number[] = [];
  #release: (() => void)[] = [];
  failure: Error | undefined;

  constructor() {
    super(':memory:');
  }

  override async append(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
    this.batches.push(entries.length);
    await new Promise<void>((resolve) => this.#release.push(resolve));
    if (this.failure !== undefined) throw this.failure;
    return super.append(entries);
  }

  /** Ends the commit that runs, which may be about to begin. */
  async releaseOne(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#release.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function open(store: HistoryStore, limits = {}) {
  const settled: unknown[] = [];
  const batches: [count: number, hasFailed: boolean][] = [];
  const commits = new GroupCommit(store, { ...groupCommitLimits, ...limits }, new ManualClock(), {
    onBatch: (count, _tookMs, failure) => void batches.push([count, failure !== undefined]),
  });
  const submit = (fields: Partial<AppendEntry> = {}) =>
    commits.submit(entry(fields), (result) =>
      settled.push(
        typeof result === 'string' ? result : result.state === 'stored' ? result.offset : result.state,
      ),
    );
  return { commits, submit, settled, batches };
}

test('what arrives while a commit runs is the next batch, settled in order', async () => {
  const store = new SlowStore();
  const { commits, submit, settled, batches } = open(store);
  submit();
  await Promise.resolve();
  await Promise.resolve();
  for (let count = 0; count < 5; count++) submit();
  assert.deepEqual(store.batches, [1]);
  await store.releaseOne();
  assert.deepEqual([store.batches, settled], [[1, 5], [1]]);
  await store.releaseOne();
  await commits.settled();
  assert.deepEqual(settled, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(batches, [
    [1, false],
    [5, false],
  ]);
});

test('what is submitted in one turn of the loop is one batch', async () => {
  const store = new SlowStore();
  const { submit } = open(store);
  for (let count = 0; count < 7; count++) submit();
  await store.releaseOne();
  assert.deepEqual(store.batches, [7]);
});

test('a batch is bounded by messages and by bytes, and holds one message however large', async () => {
  const store = new SlowStore();
  const { submit, settled } = open(store, { batchMessagesMax: 3, batchBytesMax: 10_000 });
  for (let count = 0; count < 4; count++) submit();
  for (const bytes of [6_000, 6_000, 50_000]) submit({ payload: Buffer.alloc(bytes) });
  for (let count = 0; count < 6; count++) await store.releaseOne();
  assert.deepEqual(store.batches, [3, 2, 1, 1]);
  assert.deepEqual(settled, [1, 2, 3, 4, 5, 6, 7]);
});

test('a full queue says so, stores nothing of what it refused, and takes more when there is room', async () => {
  const store = new SlowStore();
  const { submit, settled } = open(store, { queueMessagesMax: 2, queueBytesMax: 5_000 });
  assert.equal(submit({ payload: Buffer.alloc(6_000) }), 'full');
  assert.deepEqual([submit(), submit(), submit()], ['queued', 'queued', 'full']);
  await store.releaseOne();
  assert.equal(submit(), 'queued');
  await store.releaseOne();
  assert.deepEqual(settled, [1, 2, 3]);
});

test('[REC2] what is asked for again is never refused as full: it was admitted before, and may be stored', async () => {
  const store = new SlowStore();
  const { submit, settled } = open(store, { queueMessagesMax: 2, queueBytesMax: 5_000 });
  const known = entry();
  await SqliteHistoryStore.prototype.append.call(store, [known]);
  for (let count = 0; count < 2; count++) submit();
  assert.equal(submit(), 'full');
  const repeats = [known, entry(), entry({ payload: Buffer.alloc(60_000) })];
  for (const repeat of repeats) assert.equal(submit({ ...repeat, isRepeat: true }), 'queued');
  assert.equal(submit(), 'full', 'what is new waits behind them');
  await store.releaseOne();
  assert.deepEqual([store.batches, settled], [[5], [2, 3, 1, 4, 5]]);
  assert.equal(submit(), 'queued');
  await store.releaseOne();
  assert.equal(settled.at(-1), 6);
});

test('a batch that fails is unavailable for each of it, and those behind go on', async () => {
  const store = new SlowStore();
  const { submit, settled, batches } = open(store, { batchMessagesMax: 2 });
  for (let count = 0; count < 3; count++) submit();
  store.failure = new Error('disk full');
  await store.releaseOne();
  store.failure = undefined;
  await store.releaseOne();
  assert.deepEqual(settled, ['unavailable', 'unavailable', 1]);
  assert.deepEqual(batches, [
    [2, true],
    [1, false],
  ]);
});
