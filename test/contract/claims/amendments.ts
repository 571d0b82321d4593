/** Claims of edits and deletions: entries of the log that change their message. */
import assert from 'node:assert/strict';
import type { StoredMessage } from '../../../src/store/history-store.ts';
import {
  amend,
  ann,
  ben,
  boundsOf,
  bytes,
  type Claim,
  direct,
  entry,
  inbox,
  offsets,
  pageOf,
  topic,
} from '../entries.ts';

const brief = ({ kind, offset, payload, target }: StoredMessage) => [kind, offset, [...payload], target];

export function claimAmendments(claim: Claim): void {
  claimChanges(claim);
  claimRefusals(claim);
  claimAmendedConversations(claim);
}

function claimChanges(claim: Claim): void {
  claim('an edit has an offset of its own and changes the message itself', async (store) => {
    const message = entry({ payload: bytes(1), event: 'e', priority: 'low' });
    const edit = amend('edited', message, { payload: bytes(2) });
    await store.append([message, entry({ payload: bytes(9) })]);
    assert.deepEqual(await store.append([edit]), [{ state: 'stored', offset: 3, copyOffset: undefined }]);
    const [first, other, last] = await pageOf(store, message.topic);
    assert.deepEqual(
      { ...first, payload: [...first!.payload] },
      {
        ...{ kind: 'message', offset: 1, messageId: message.messageId, from: ann, peer: undefined },
        ...{ target: undefined, event: 'e', priority: 'low', payload: [2], timestampMs: message.timestampMs },
        ...{ editedAtMs: edit.timestampMs, deletedAtMs: undefined },
      },
    );
    assert.deepEqual([other!.payload[0], other!.editedAtMs], [9, undefined]);
    assert.deepEqual(brief(last!), ['edited', 3, [2], message.messageId]);
    assert.deepEqual([last!.messageId, last!.editedAtMs], [edit.messageId, undefined]);
  });

  claim('a deletion empties the message and its earlier edits, and keeps their places', async (store) => {
    const [message, other] = [entry({ payload: bytes(1) }), entry({ payload: bytes(9) })];
    const edits = [2, 3].map((value) => amend('edited', message, { payload: bytes(value) }));
    const removal = amend('deleted', message);
    const otherEdit = amend('edited', other, { payload: bytes(8) });
    assert.deepEqual(offsets(await store.append([message, other, ...edits, otherEdit])), [1, 2, 3, 4, 5]);
    assert.deepEqual(offsets(await store.append([removal])), [6]);
    const log = await pageOf(store, message.topic);
    assert.deepEqual(log.map(brief), [
      ...[
        ['message', 1, [0xc0], undefined],
        ['message', 2, [8], undefined],
      ],
      ...[3, 4].map((offset) => ['edited', offset, [0xc0], message.messageId]),
      ['edited', 5, [8], other.messageId],
      ['deleted', 6, [0xc0], message.messageId],
    ]);
    assert.equal(log[0]!.deletedAtMs, removal.timestampMs);
    assert.equal(log[0]!.editedAtMs, edits[1]!.timestampMs);
    assert.deepEqual(log.filter(({ deletedAtMs }) => deletedAtMs !== undefined).length, 1);
  });

  claim(
    'the view of messages leaves edits and deletions out, and counts by its own measure',
    async (store) => {
      const [first, second, third] = [entry(), entry(), entry()];
      await store.append([first, amend('edited', first), second, amend('deleted', second), third]);
      const page = async (limit: number, after?: number) => {
        const { messages, hasMore } = await store.page({
          topic: first.topic,
          view: 'messages',
          after,
          limit,
        });
        return [messages.map(({ offset }) => offset), hasMore];
      };
      assert.deepEqual(await page(10), [[1, 3, 5], false]);
      assert.deepEqual(await page(2), [[3, 5], true]);
      assert.deepEqual(await page(2, 0), [[1, 3], true]);
      assert.deepEqual(await page(2, 1), [[3, 5], false]);
      assert.deepEqual(await boundsOf(store, first.topic), [1, 5]);
    },
  );

  claim('a batch may hold a message, its edits and its end', async (store) => {
    const message = entry({ payload: bytes(1) });
    const batch = [
      ...[
        message,
        amend('edited', message, { payload: bytes(2) }),
        amend('edited', message, { payload: bytes(3) }),
      ],
      ...[entry(), amend('deleted', message), amend('edited', message), entry()],
    ];
    assert.deepEqual(offsets(await store.append(batch)), [1, 2, 3, 4, 5, 'missing', 6]);
    const [first] = await pageOf(store, message.topic);
    assert.deepEqual([[...first!.payload], first!.deletedAtMs], [[0xc0], batch[4]!.timestampMs]);
  });
}

function claimRefusals(claim: Claim): void {
  claim('what is not there, or not any more, cannot be amended', async (store) => {
    const [message, elsewhere, gone] = [entry(), entry({ topic: topic('b') }), entry()];
    const edit = amend('edited', message);
    await store.append([message, elsewhere, gone, edit, amend('deleted', gone)]);
    const last = await boundsOf(store, message.topic);
    const refused = [
      amend('edited', entry()),
      amend('edited', message, { target: 'no id' as never }),
      amend('edited', elsewhere, { topic: message.topic }),
      ...[amend('edited', gone), amend('deleted', gone), amend('deleted', gone, { from: ben })],
      amend('edited', edit, { target: edit.messageId }),
      amend('edited', message, { topic: topic('nowhere') }),
    ];
    assert.deepEqual(
      await store.append(refused),
      refused.map(() => ({ state: 'missing' })),
    );
    assert.deepEqual(await boundsOf(store, message.topic), last, 'a refusal takes no offset');
  });

  claim('a message of another user cannot be amended, but by whoever may amend any', async (store) => {
    const message = entry({ payload: bytes(1) });
    await store.append([message]);
    const foreign = { from: ben, payload: bytes(2) };
    const refused = [amend('edited', message, foreign), amend('deleted', message, { from: ben })];
    assert.deepEqual(offsets(await store.append([...refused, entry()])), ['forbidden', 'forbidden', 2]);
    assert.equal((await pageOf(store, message.topic))[0]!.payload[0], 1);
    const allowed = amend('edited', message, { ...foreign, mayAmendAny: true });
    assert.deepEqual(offsets(await store.append([allowed])), [3]);
    const [first, , edit] = await pageOf(store, message.topic);
    assert.deepEqual([first!.from, first!.payload[0], edit!.from], [ann, 2, ben]);
    const removal = amend('deleted', message, { from: ben, mayAmendAny: true });
    assert.deepEqual(offsets(await store.append([removal])), [4]);
  });
}

function claimAmendedConversations(claim: Claim): void {
  claim('a direct message is edited and deleted in both inboxes', async (store) => {
    const message = direct(ann, ben, { payload: bytes(1) });
    const edit = amend('edited', message, { payload: bytes(2) });
    await store.append([entry({ topic: inbox(ben) }), message]);
    assert.deepEqual(await store.append([edit]), [{ state: 'stored', offset: 2, copyOffset: 3 }]);
    const [mine, theirs] = [await pageOf(store, inbox(ann)), (await pageOf(store, inbox(ben))).slice(1)];
    for (const [log, peer, first] of [
      [mine, ben, 1],
      [theirs, ann, 2],
    ] as const) {
      assert.deepEqual(log.map(brief), [
        ['message', first, [2], undefined],
        ['edited', first + 1, [2], message.messageId],
      ]);
      assert.ok(log.every((stored) => stored.peer === peer));
      assert.equal(log[0]!.editedAtMs, edit.timestampMs);
      assert.equal(log[1]!.messageId, edit.messageId);
    }
    const removal = amend('deleted', message);
    assert.deepEqual(await store.append([removal]), [{ state: 'stored', offset: 3, copyOffset: 4 }]);
    for (const user of [ann, ben]) {
      const log = (await pageOf(store, inbox(user))).slice(-3);
      assert.ok(log.every(({ payload }) => payload[0] === 0xc0));
      assert.equal(log[0]!.deletedAtMs, removal.timestampMs);
    }
  });

  claim('a direct message can be deleted when the other inbox has it no more', async (store) => {
    const message = direct(ann, ben);
    await store.append([message]);
    await store.prune({ topic: inbox(ben), beforeMs: message.timestampMs + 1, limit: 10 });
    assert.deepEqual(await store.append([amend('deleted', message)]), [
      { state: 'stored', offset: 2, copyOffset: 2 },
    ]);
    assert.equal((await pageOf(store, inbox(ann)))[0]!.payload[0], 0xc0);
  });
}
