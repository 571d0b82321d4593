/** Questions of shards to the store: what an answer holds at most, and what is answered when there is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TopicName } from '#proto/names.ts';
import {
  type Page,
  type SearchPage,
  type StoredMessage,
  StoreUnavailableError,
} from '../../../src/store/history-store.ts';
import { packObject } from '../../../src/wire/codec.ts';
import { entry, tenant, termsOf, topic } from '../../contract/entries.ts';
import { range } from '../log/log-world.ts';
import { StoreRecords } from './store-records.ts';

const bytesMax = 64 * 1024;
const searchRequest = { tenant, terms: termsOf('hello'), within: ['*'], without: [], limit: 200 };
const pageRequest = { topic: topic('chat:a'), view: 'messages', limit: 200 } as const;

/** With payloads of so many bytes, in order. */
function messagesOf(sizes: number[]): StoredMessage[] {
  return sizes.map((bytes, index) => {
    const { messageId, from, timestampMs } = entry();
    return {
      ...{ kind: 'message', offset: index + 1, messageId, from, peer: undefined, target: undefined },
      ...{ event: undefined, priority: undefined, payload: Buffer.alloc(bytes, 0xc0), timestampMs },
      ...{ editedAtMs: undefined, deletedAtMs: undefined },
    };
  });
}

async function search(sizes: number[], hasMore = false): Promise<[offsets: number[], hasMore: boolean]> {
  const messages = messagesOf(sizes).map((message, index) => ({
    ...{ topic: 'chat:a' as TopicName, message, rank: 1 / (index + 1) },
  }));
  const records = new StoreRecords({ search: async () => ({ messages, hasMore }) });
  const found = (await records.ask('search', searchRequest)) as SearchPage;
  return [found.messages.map(({ message }) => message.offset), found.hasMore];
}

async function page(sizes: number[], request: { after?: number } = {}): Promise<[number[], boolean]> {
  const whole = { messages: messagesOf(sizes), hasMore: false, firstOffset: 1, lastOffset: sizes.length };
  const records = new StoreRecords({ page: async () => whole });
  const given = (await records.ask('page', { ...pageRequest, ...request })) as Page;
  return [given.messages.map(({ offset }) => offset), given.hasMore];
}

test('an answer to a search is cut at 64 KiB of payloads, the best first, and says that there is more', async () => {
  const half = bytesMax / 2;
  assert.deepEqual(await search([half, half]), [[1, 2], false], 'exactly so much is not too much');
  assert.deepEqual(await search([half, half, 1]), [[1, 2], true]);
  assert.deepEqual(await search([half, half + 1, 1]), [[1], true], 'none behind the cut is told');
  assert.deepEqual(await search(Array.from({ length: 200 }, () => 1000)), [range(1, 65), true]);
});

test('one message larger than that is an answer of its own', async () => {
  assert.deepEqual(await search([bytesMax + 1]), [[1], false]);
  assert.deepEqual(await search([bytesMax + 1, 1]), [[1], true]);
});

test('a search of little is answered as it is, also where the store has more', async () => {
  assert.deepEqual(await search([]), [[], false]);
  assert.deepEqual(await search([1, 2, 3]), [[1, 2, 3], false]);
  assert.deepEqual(await search([1, 2, 3], true), [[1, 2, 3], true]);
});

test('a page is cut on the far side of where it was asked from', async () => {
  const half = bytesMax / 2;
  assert.deepEqual(await page([half, half, half]), [[2, 3], true]);
  assert.deepEqual(await page([half, half, half], { after: 0 }), [[1, 2], true]);
  assert.deepEqual(await page([half, half]), [[1, 2], false]);
});

test('searches beyond those that may wait are answered that it could not, and other questions pass by', async () => {
  const ends: (() => void)[] = [];
  const records = new StoreRecords({
    search: () => new Promise((resolve) => ends.push(() => resolve({ messages: [], hasMore: false }))),
  });
  const ask = (correlation: number) =>
    records.take('storeQuery', correlation, ['search', packObject(searchRequest)]);
  for (const correlation of range(1, 2 + 16)) await ask(correlation);
  assert.deepEqual([records.said, ends.length], [[], 2]);
  await ask(19);
  assert.deepEqual(
    records.said.splice(0).map(({ correlation, body }) => [correlation, body]),
    [[19, [false]]],
  );
  assert.ok(records.failures[0] instanceof StoreUnavailableError);
  assert.ok(await records.ask('page', pageRequest), 'a page waits for no search');
});

test('what the store throws, and whatever is asked while it is away, is answered that it could not', async () => {
  const failure = new Error('disk full');
  const records = new StoreRecords({ page: () => Promise.reject(failure) });
  assert.equal(await records.ask('page', pageRequest), undefined);
  records.isUp = false;
  assert.equal(await records.ask('find', { tenant, messageId: entry().messageId }), undefined);
  const [first, second] = records.failures;
  assert.equal(first, failure);
  assert.ok(second instanceof StoreUnavailableError);
});
