/** What every history store must do; run by the file of each backend. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageId, Tenant, TopicName, UserId } from '#proto/names.ts';
import { topicKey } from '#proto/names.ts';
import type { AppendEntry, AppendResult, HistoryStore } from '../../src/store/history-store.ts';

const topic = (name: string, tenant = 'default') => topicKey(tenant as Tenant, name as TopicName);
let lastId = 0;

export function entry(fields: Partial<AppendEntry> = {}): AppendEntry {
  const number = ++lastId;
  return {
    topic: topic('chat:a'),
    messageId: `00000000-0000-7000-8000-${String(number).padStart(12, '0')}` as MessageId,
    from: 'ann' as UserId,
    key: undefined,
    digest: 1,
    event: undefined,
    priority: undefined,
    payload: Buffer.from([0xc0]),
    timestampMs: 1_767_225_600_000 + number,
    ...fields,
  };
}

function offsets(results: AppendResult[]): (number | string)[] {
  return results.map((result) => (result.state === 'conflict' ? 'conflict' : result.offset));
}

/** `open` gives a new, empty store each time. */
export function historyStoreContract(name: string, open: () => Promise<HistoryStore>): void {
  const on = (title: string, run: (store: HistoryStore) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const store = await open();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });

  on('offsets of a topic rise from 1 without holes, whatever else is in the batch', async (store) => {
    const [a, b] = [topic('a'), topic('b')];
    const batch = [a, b, a, a, b].map((name) => entry({ topic: name }));
    assert.deepEqual(offsets(await store.append(batch)), [1, 1, 2, 3, 2]);
    assert.deepEqual(offsets(await store.append([entry({ topic: b })])), [3]);
    assert.deepEqual([await store.lastOffset(a), await store.lastOffset(b)], [3, 3]);
  });

  on('the same topic of two tenants is two topics', async (store) => {
    const batch = [entry({ topic: topic('a', 'one') }), entry({ topic: topic('a', 'two') })];
    assert.deepEqual(offsets(await store.append(batch)), [1, 1]);
    const { messages } = await store.page({ topic: topic('a', 'two'), limit: 10 });
    assert.deepEqual(
      messages.map(({ messageId }) => messageId),
      [batch[1]!.messageId],
    );
  });

  on('a batch that is given again answers the same and stores nothing', async (store) => {
    const batch = [entry(), entry({ key: 'k' }), entry()];
    const first = await store.append(batch);
    assert.deepEqual(await store.append(batch), first);
    assert.equal(await store.lastOffset(topic('chat:a')), 3);
  });

  on('a key is good for one message of its sender and topic', async (store) => {
    const first = entry({ key: 'k' });
    await store.append([first]);
    const [again] = await store.append([entry({ key: 'k' })]);
    assert.deepEqual(again, { state: 'duplicate', messageId: first.messageId, offset: 1 });
    assert.deepEqual(await store.append([entry({ key: 'k', digest: 2 })]), [{ state: 'conflict' }]);
    const digest = Number.MAX_SAFE_INTEGER;
    await store.append([entry({ key: 'largest', digest, topic: topic('c') })]);
    const [largest] = await store.append([entry({ key: 'largest', digest, topic: topic('c') })]);
    assert.equal(largest!.state, 'duplicate');
    const others = [entry({ key: 'k', from: 'ben' as UserId }), entry({ key: 'k', topic: topic('chat:b') })];
    assert.deepEqual(offsets(await store.append(others)), [2, 1]);
  });

  on('a key counts within one batch, too', async (store) => {
    const batch = [entry({ key: 'k' }), entry({ key: 'k' }), entry({ key: 'k', digest: 2 }), entry()];
    assert.deepEqual(
      (await store.append(batch)).map(({ state }) => state),
      ['stored', 'duplicate', 'conflict', 'stored'],
    );
    assert.equal(await store.lastOffset(topic('chat:a')), 2);
  });

  on('a message comes back as it was given', async (store) => {
    const full = entry({
      ...{ event: 'deploy', priority: 'high', key: 'k', digest: 2 ** 52 + 1 },
      payload: Buffer.from([0xc4, 2, 0, 255]),
    });
    const bare = entry();
    await store.append([full, bare]);
    const { messages } = await store.page({ topic: full.topic, limit: 10 });
    const expected = [full, bare].map(({ topic: _topic, key: _key, digest: _digest, ...message }, index) => ({
      ...message,
      offset: index + 1,
    }));
    assert.deepEqual(
      messages.map((message) => ({ ...message, payload: Buffer.from(message.payload) })),
      expected,
    );
  });

  on('pages go both ways, oldest first, and say whether there is more', async (store) => {
    await store.append(Array.from({ length: 10 }, () => entry()));
    const page = async (request: { after?: number; before?: number; limit: number }) => {
      const { messages, hasMore } = await store.page({ topic: topic('chat:a'), ...request });
      return [messages.map(({ offset }) => offset), hasMore];
    };
    assert.deepEqual(await page({ limit: 3 }), [[8, 9, 10], true]);
    assert.deepEqual(await page({ before: 8, limit: 3 }), [[5, 6, 7], true]);
    assert.deepEqual(await page({ before: 3, limit: 3 }), [[1, 2], false]);
    assert.deepEqual(await page({ before: 1, limit: 3 }), [[], false]);
    assert.deepEqual(await page({ after: 0, limit: 3 }), [[1, 2, 3], true]);
    assert.deepEqual(await page({ after: 7, limit: 3 }), [[8, 9, 10], false]);
    assert.deepEqual(await page({ after: 2, before: 6, limit: 2 }), [[3, 4], true]);
    assert.deepEqual(await page({ after: 2, before: 6, limit: 5 }), [[3, 4, 5], false]);
    assert.deepEqual(await page({ after: 10, limit: 3 }), [[], false]);
    assert.deepEqual(await page({ after: 99, limit: 3 }), [[], false]);
    assert.deepEqual(await page({ limit: 10 }), [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], false]);
  });

  on('a topic that nobody wrote to is empty, and asking does not make it', async (store) => {
    const nowhere = topic('nowhere');
    assert.equal(await store.lastOffset(nowhere), 0);
    assert.deepEqual(await store.page({ topic: nowhere, limit: 5 }), { messages: [], hasMore: false });
    assert.deepEqual(offsets(await store.append([entry({ topic: nowhere })])), [1]);
  });
}
