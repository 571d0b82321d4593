/** What shards ask to be stored, and who hears of it: who asked, and the home of the other inbox of a direct message. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionId, ShardId } from '#proto/names.ts';
import type { StoreCopy, StoreEntryBody } from '#proto/record.ts';
import type { StoredMessage } from '../../../src/store/history-store.ts';
import { unpackObject } from '../../../src/wire/codec.ts';
import { ann, ben, entry, inbox } from '../../contract/entries.ts';
import { type Said, StoreRecords } from './store-records.ts';

/** A direct message of ann, whose copy is for ben's inbox at home on shard 1. */
const toBen: StoreCopy = [inbox(ben), ann, 1 as ShardId, 's1' as SessionId];

function body(copy: StoreCopy | null, key: string | null = null): StoreEntryBody {
  const { messageId, digest, timestampMs, payload } = entry();
  return [
    ...(['message', inbox(ann), messageId, null, false, ann, ben, copy] as const),
    ...([key, digest, null, null, timestampMs, payload] as const),
  ];
}

const inShort = (said: Said[]) =>
  said
    .splice(0)
    .map(({ to, kind, correlation, body: [first, second] }) => [
      ...[to, kind, correlation],
      ...(kind === 'storeCopied' ? [first] : [first, second]),
    ]);

test('the home of the other inbox gets what was stored there, before the answer to who asked', async () => {
  const records = new StoreRecords();
  const given = body(toBen);
  await records.take('storeAppend', 7, given);
  const copied = records.said[0]!;
  assert.deepEqual(inShort(records.said), [
    [1, 'storeCopied', 0, inbox(ben)],
    [0, 'storeAppended', 7, 'stored', 1],
  ]);
  const [, except, packed] = copied.body as [string, string, Uint8Array];
  const message = unpackObject(packed) as StoredMessage;
  assert.deepEqual([except, message.messageId, message.peer, message.offset], ['s1', given[2], ann, 1]);
});

test('[REC2] of a duplicate the home of the other inbox hears where it is: the first word of it may have gone to a home that died', async () => {
  const records = new StoreRecords();
  await records.store.append([entry({ topic: inbox(ben) })]);
  await records.take('storeAppend', 1, body(toBen, 'k'));
  records.said.length = 0;
  await records.take('storeAppend', 2, body(toBen, 'k'));
  assert.deepEqual(inShort(records.said), [
    [1, 'storeHeard', 0, inbox(ben), 2],
    [0, 'storeAppended', 2, 'duplicate', 1],
  ]);
});

test('[REC2] an append that is asked for again is stored once, and told to the home of the other inbox again', async () => {
  const records = new StoreRecords();
  const given = body(toBen);
  await records.take('storeAppend', 1, given);
  records.said.length = 0;
  await records.take('storeReappend', 1, given);
  assert.deepEqual(
    inShort(records.said).map(([to, kind]) => [to, kind]),
    [
      [1, 'storeCopied'],
      [0, 'storeAppended'],
    ],
  );
  assert.equal((await records.store.page({ topic: inbox(ben), view: 'log', limit: 9 })).messages.length, 1);
});

test('without a copy, and of what was refused, no other home hears', async () => {
  const records = new StoreRecords();
  await records.take('storeAppend', 1, body(null, 'k'));
  await records.take('storeAppend', 2, body(null, 'k'));
  const [kind, topic, messageId, target, mayAmendAny, from, peer, copy, key, , ...rest] = body(toBen, 'k');
  const other = [kind, topic, messageId, target, mayAmendAny, from, peer, copy, key, 99, ...rest];
  await records.take('storeAppend', 3, other as StoreEntryBody);
  assert.deepEqual(
    inShort(records.said).map(([to, said, correlation, state]) => [to, said, correlation, state]),
    [
      [0, 'storeAppended', 1, 'stored'],
      [0, 'storeAppended', 2, 'duplicate'],
      [0, 'storeAppended', 3, 'conflict'],
    ],
  );
});

test('a home that is not there hears nothing, and who asked is answered all the same', async () => {
  const records = new StoreRecords();
  const away: StoreCopy = [inbox(ben), ann, 9 as ShardId, null];
  await records.take('storeAppend', 1, body(away, 'k'));
  await records.take('storeAppend', 2, body(away, 'k'));
  assert.deepEqual(
    inShort(records.said).map(([to, , , state]) => [to, state]),
    [
      [0, 'stored'],
      [0, 'duplicate'],
    ],
  );
});
