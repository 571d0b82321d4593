/** Claims of receipts: marks of what users got and read. */
import assert from 'node:assert/strict';
import type { UserId } from '#proto/names.ts';
import type { HistoryStore, ReceiptMark } from '../../../src/store/history-store.ts';
import { ann, ben, type Claim, cat, entry, topic } from '../entries.ts';

const where = topic('chat:a');

function mark(user: UserId, kind: ReceiptMark['kind'], offset: number, atMs: number): ReceiptMark {
  return { topic: where, user, kind, offset, atMs };
}

async function timesAt(store: HistoryStore, offset: number, limit = 10) {
  const times = await store.receipts({ topic: where, offset, limit });
  return times.map(({ user, deliveredAtMs, readAtMs }) => [user, deliveredAtMs, readAtMs]);
}

export function claimReceipts(claim: Claim): void {
  claim('marks never fall, and the first that reached an offset has the time', async (store) => {
    await store.append(Array.from({ length: 9 }, () => entry()));
    await store.mark({ marks: [mark(ann, 'delivered', 5, 1_000)] });
    await store.mark({ marks: [mark(ann, 'delivered', 3, 2_000), mark(ann, 'delivered', 5, 3_000)] });
    assert.deepEqual(await timesAt(store, 3), [[ann, 1_000, undefined]]);
    assert.deepEqual(await timesAt(store, 5), [[ann, 1_000, undefined]]);
    assert.deepEqual(await timesAt(store, 6), []);
    await store.mark({ marks: [mark(ann, 'delivered', 7, 4_000), mark(ann, 'delivered', 8, 5_000)] });
    assert.deepEqual(await timesAt(store, 5), [[ann, 1_000, undefined]]);
    assert.deepEqual(await timesAt(store, 6), [[ann, 4_000, undefined]]);
    assert.deepEqual(await timesAt(store, 8), [[ann, 5_000, undefined]]);
  });

  claim('what is read was delivered', async (store) => {
    await store.append([entry(), entry()]);
    await store.mark({ marks: [mark(ann, 'read', 1, 1_000), mark(ben, 'delivered', 2, 1_500)] });
    await store.mark({ marks: [mark(ben, 'read', 1, 2_000), mark(ann, 'delivered', 1, 3_000)] });
    assert.deepEqual(await timesAt(store, 1), [
      [ann, 1_000, 1_000],
      [ben, 1_500, 2_000],
    ]);
    assert.deepEqual(await timesAt(store, 2), [[ben, 1_500, undefined]]);
  });

  claim('receipts come by name, as many as asked', async (store) => {
    await store.append([entry()]);
    const users = ['zoe', 'Bob', ...[cat, ann, ben], 'a.1'] as UserId[];
    await store.mark({ marks: users.map((user) => mark(user, 'read', 1, 1_000)) });
    const named = (times: unknown[][]) => times.map(([user]) => user);
    assert.deepEqual(named(await timesAt(store, 1)), ['Bob', 'a.1', ann, ben, cat, 'zoe']);
    assert.deepEqual(named(await timesAt(store, 1, 2)), ['Bob', 'a.1']);
  });

  claim('receipts are of one topic and one tenant', async (store) => {
    await store.append([entry(), entry({ topic: topic('chat:a', 'other') }), entry({ topic: topic('b') })]);
    const elsewhere = [topic('chat:a', 'other'), topic('b')];
    await store.mark({ marks: elsewhere.map((other) => ({ ...mark(ann, 'read', 1, 1_000), topic: other })) });
    assert.deepEqual(await timesAt(store, 1), []);
    assert.deepEqual(await store.receipts({ topic: topic('nowhere'), offset: 1, limit: 5 }), []);
    assert.equal((await store.receipts({ topic: topic('b'), offset: 1, limit: 5 })).length, 1);
    await store.mark({ marks: [] });
  });

  claim('a mark does not make a topic that nobody wrote to', async (store) => {
    await store.mark({ marks: [mark(ann, 'read', 1, 1_000)] });
    assert.deepEqual(await store.topics({ after: undefined, limit: 5 }), []);
  });
}
