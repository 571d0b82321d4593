/** Claims of direct messages: one message in two inboxes. */
import assert from 'node:assert/strict';
import type { UserId } from '#proto/names.ts';
import type { HistoryStore, PageRequest } from '../../../src/store/history-store.ts';
import { ann, ben, boundsOf, type Claim, cat, direct, entry, inbox, pageOf, tenant } from '../entries.ts';

export function claimConversations(claim: Claim): void {
  claim('a direct message is in both inboxes, under one id, each with its offset and peer', async (store) => {
    await store.append([entry({ topic: inbox(ben) })]);
    const message = direct(ann, ben);
    assert.deepEqual(await store.append([message]), [{ state: 'stored', offset: 1, copyOffset: 2 }]);
    const [mine, theirs] = [(await pageOf(store, inbox(ann)))[0]!, (await pageOf(store, inbox(ben)))[1]!];
    assert.deepEqual([mine.messageId, mine.offset, mine.from, mine.peer], [message.messageId, 1, ann, ben]);
    assert.deepEqual(
      [theirs.messageId, theirs.offset, theirs.from, theirs.peer],
      [message.messageId, 2, ann, ann],
    );
    assert.deepEqual({ ...mine, offset: 0, peer: 0 }, { ...theirs, offset: 0, peer: 0 });
  });

  claim('a batch may go to and fro: offsets of both inboxes have no holes', async (store) => {
    const batch = [
      direct(ann, ben),
      direct(ben, ann),
      entry({ topic: inbox(ben) }),
      direct(ben, ann),
      direct(ann, ben),
    ];
    const results = await store.append(batch);
    assert.deepEqual(
      results.map((result) =>
        result.state === 'stored' ? [result.offset, result.copyOffset] : result.state,
      ),
      [
        [1, 1],
        [2, 2],
        [3, undefined],
        [4, 3],
        [4, 5],
      ],
    );
    assert.deepEqual(
      [await boundsOf(store, inbox(ann)), await boundsOf(store, inbox(ben))],
      [
        [1, 4],
        [1, 5],
      ],
    );
    const order = await pageOf(store, inbox(ann));
    assert.deepEqual(
      order.map(({ messageId }) => messageId),
      [0, 1, 3, 4].map((index) => batch[index]!.messageId),
    );
  });

  claim('a page of one conversation has the messages with that user only', async (store) => {
    await store.append([
      ...[direct(ann, ben), direct(cat, ann), direct(ben, ann), direct(ann, cat), direct(ann, ben)],
      entry({ topic: inbox(ann) }),
    ]);
    const page = conversationOf(store, ben);
    assert.deepEqual(await page({}), [[1, 3, 5], false]);
    assert.deepEqual(await page({ limit: 2 }), [[3, 5], true]);
    assert.deepEqual(await page({ before: 5, limit: 2 }), [[1, 3], false]);
    assert.deepEqual(await page({ after: 1, limit: 1 }), [[3], true]);
    assert.deepEqual(await page({ after: 3, limit: 1 }), [[5], false]);
    assert.deepEqual(await conversationOf(store, cat)({}), [[2, 4], false]);
    assert.deepEqual(await conversationOf(store, ann)({}), [[], false]);
  });

  claim('a direct message is found in two places', async (store) => {
    const message = direct(ann, ben);
    await store.append([entry({ topic: inbox(ben) }), message]);
    const places = await store.find({ tenant, messageId: message.messageId });
    assert.deepEqual(places.map(({ topic, message: { offset, peer } }) => [topic, offset, peer]).sort(), [
      [inbox(ann), 1, ben],
      [inbox(ben), 2, ann],
    ]);
  });
}

function conversationOf(store: HistoryStore, peer: UserId) {
  return async (request: Partial<PageRequest>) => {
    const asked = { topic: inbox(ann), view: 'messages' as const, peer, limit: 10, ...request };
    const { messages, hasMore, lastOffset } = await store.page(asked);
    assert.equal(lastOffset, 6);
    assert.ok(messages.every((message) => message.peer === peer));
    return [messages.map(({ offset }) => offset), hasMore];
  };
}
