/** Claims of what is stored once: repeats by their message id, and keys. */
import assert from 'node:assert/strict';
import type { AppendEntry } from '../../../src/store/history-store.ts';
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

const repeated = (batch: AppendEntry[]) => batch.map((given) => ({ ...given, isRepeat: true }));

export function claimKeys(claim: Claim): void {
  claimRepeats(claim);
  claimKeyed(claim);
}

function claimRepeats(claim: Claim): void {
  claim('a batch that is given again as a repeat answers the same and stores nothing', async (store) => {
    const batch = [entry(), entry({ key: 'k' }), direct(ben, ann), entry({ topic: topic('b') })];
    const first = await store.append(batch);
    assert.deepEqual(await store.append(repeated(batch)), first);
    assert.deepEqual(await boundsOf(store, topic('chat:a')), [1, 2]);
    assert.deepEqual(
      [await boundsOf(store, inbox(ben)), await boundsOf(store, topic('b'))],
      [
        [1, 1],
        [1, 1],
      ],
    );
  });

  claim('a repeat of what was never stored is stored, beside those that were', async (store) => {
    const [stored, lost, fresh] = [entry(), entry(), entry()];
    await store.append([stored]);
    const results = await store.append([...repeated([lost, stored]), fresh, ...repeated([lost])]);
    assert.deepEqual(offsets(results), [2, 1, 3, 2]);
    assert.deepEqual(await boundsOf(store, topic('chat:a')), [1, 3]);
  });

  claim('a repeated edit or deletion does its work once', async (store) => {
    const message = entry();
    const first = amend('edited', message, { payload: bytes(1) });
    const second = amend('edited', message, { payload: bytes(2) });
    const removal = amend('deleted', message);
    await store.append([message, first, second]);
    assert.deepEqual(offsets(await store.append(repeated([first]))), [2]);
    assert.equal((await pageOf(store, message.topic, 'messages'))[0]!.payload[0], 2);
    assert.deepEqual(offsets(await store.append([removal])), [4]);
    assert.deepEqual(offsets(await store.append(repeated([removal, first]))), [4, 2]);
    assert.deepEqual(await boundsOf(store, message.topic), [1, 4]);
  });
}

function claimKeyed(claim: Claim): void {
  claim('a key is good for one message of its sender and topic', async (store) => {
    const first = entry({ key: 'k' });
    await store.append([first]);
    const duplicate = { state: 'duplicate', messageId: first.messageId, offset: 1, copyOffset: undefined };
    assert.deepEqual(await store.append([entry({ key: 'k' })]), [duplicate]);
    assert.deepEqual(await store.append([entry({ key: 'k', digest: 2 })]), [{ state: 'conflict' }]);
    const others = [entry({ key: 'k', from: ben }), entry({ key: 'k', topic: topic('chat:b') })];
    assert.deepEqual(await store.append([...others, entry({ key: 'K' })]), [
      { state: 'stored', offset: 2, copyOffset: undefined },
      { state: 'stored', offset: 1, copyOffset: undefined },
      { state: 'stored', offset: 3, copyOffset: undefined },
    ]);
  });

  claim('digests are told apart up to the largest integer', async (store) => {
    const digests = [0, 1, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER];
    await store.append(digests.map((digest) => entry({ key: `k${digest}`, digest })));
    for (const digest of digests) {
      const asked = [entry({ key: `k${digest}`, digest }), entry({ key: `k${digest}`, digest: digest ^ 3 })];
      assert.deepEqual(
        (await store.append(asked)).map(({ state }) => state),
        ['duplicate', 'conflict'],
      );
    }
  });

  claim('a key counts within one batch, too', async (store) => {
    const batch = [entry({ key: 'k' }), entry({ key: 'k' }), entry({ key: 'k', digest: 2 }), entry()];
    assert.deepEqual(offsets(await store.append(batch)), [1, 1, 'conflict', 2]);
    assert.deepEqual(await boundsOf(store, topic('chat:a')), [1, 2]);
  });

  claim('a duplicate of a direct message knows both of its offsets', async (store) => {
    const first = direct(ben, ann, { key: 'k' });
    await store.append([entry({ topic: inbox(ann) }), first]);
    const again = direct(ben, ann, { key: 'k' });
    const duplicate = { state: 'duplicate', messageId: first.messageId, offset: 1, copyOffset: 2 };
    assert.deepEqual(await store.append([again]), [duplicate]);
    // The key is the sender's in the topic of the sender: the other inbox knows nothing of it.
    const theirs = entry({ topic: inbox(ann), from: ben, key: 'k' });
    assert.deepEqual(offsets(await store.append([theirs])), [3]);
  });

  claim('a key holds for edits and deletions, too', async (store) => {
    const message = entry();
    const edit = amend('edited', message, { key: 'e', payload: bytes(5) });
    await store.append([message, edit]);
    assert.deepEqual(offsets(await store.append([amend('edited', message, { key: 'e' })])), [2]);
    assert.deepEqual(await boundsOf(store, message.topic), [1, 2]);
    const removal = amend('deleted', message, { key: 'd' });
    assert.deepEqual(offsets(await store.append([removal, amend('deleted', message, { key: 'd' })])), [3, 3]);
  });

  claim('a repeat is known by its id before its key is looked at', async (store) => {
    const keyed = entry({ key: 'k' });
    await store.append([keyed]);
    assert.deepEqual(await store.append(repeated([keyed])), [
      { state: 'stored', offset: 1, copyOffset: undefined },
    ]);
    const other = entry({ key: 'k' });
    assert.equal((await store.append(repeated([other])))[0]!.state, 'duplicate');
  });
}
