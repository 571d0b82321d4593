/** Claims of archives: an entry is in the log or in a file, never in both, never in none. */
import assert from 'node:assert/strict';
import type { TopicKey } from '#proto/names.ts';
import type { Archive, ArchiveLead, RestoredEntry, RestoreResult } from '../../../src/store/archive-index.ts';
import { fingerprintOf } from '../../../src/store/archive-lines.ts';
import type { HistoryStore, StoredMessage } from '../../../src/store/history-store.ts';
import {
  amend,
  ann,
  ben,
  boundsOf,
  bytes,
  type Claim,
  direct,
  entry,
  found,
  inbox,
  offsets,
  pageOf,
  startMs,
  tenant,
  topic,
} from '../entries.ts';

export function claimArchives(claim: Claim): void {
  claimMoving(claim);
  claimIndex(claim);
  claimRestoring(claim);
  claimErasure(claim);
}

const where = topic('old');
const waitMs = 1_000;

/** Topic `old` with ten messages, ten seconds apart. */
async function withTen(store: HistoryStore): Promise<void> {
  const batch = Array.from({ length: 10 }, (_, index) =>
    entry({
      ...{ topic: where, timestampMs: startMs + index * 10_000, text: `word w${index + 1}` },
      ...{ from: index % 2 === 0 ? ann : ben, event: `e${index + 1}`, key: `k${index + 1}` },
    }),
  );
  await store.append(batch);
}

async function leading<Answer>(
  store: HistoryStore,
  run: (lead: ArchiveLead) => Promise<Answer>,
): Promise<Answer> {
  const lead = await store.leadArchives({ waitMs });
  assert.ok(lead);
  try {
    return await run(lead);
  } finally {
    await lead.release();
  }
}

function archiveOf(entries: StoredMessage[], of: TopicKey = where, name = 'a'): Archive {
  const times = entries.map(({ timestampMs }) => timestampMs);
  return {
    ...{ topic: of, firstOffset: entries[0]!.offset, lastOffset: entries.at(-1)!.offset },
    ...{ fromMs: Math.min(...times), toMs: Math.max(...times), messageCount: entries.length },
    ...{ bytes: 1_000, sha256: `sha ${name}`, file: `default/old/${name}.ndjson.gz` },
  };
}

/** What a keeper does, without a file. Answers what left the log. */
async function move(store: HistoryStore, count: number, of = where): Promise<[Archive, StoredMessage[]]> {
  const entries = (await pageOf(store, of)).slice(0, count);
  const archive = archiveOf(entries, of, `${of} ${entries[0]!.offset}`);
  const request = { archive, fingerprint: fingerprintOf(entries) };
  assert.equal(await leading(store, (lead) => lead.move(request)), true);
  return [archive, entries];
}

function restore(
  store: HistoryStore,
  archive: Archive,
  messages: StoredMessage[],
  heldUntilMs = 7,
): Promise<RestoreResult> {
  const entries: RestoredEntry[] = messages.map((message) => ({
    ...message,
    text: `again w${message.offset}`,
  }));
  return leading(store, (lead) => lead.restore({ archive, entries, heldUntilMs }));
}

function claimMoving(claim: Claim): void {
  claim(
    'what moves to an archive leaves the log, with words and receipts, and the rest goes on',
    async (store) => {
      await withTen(store);
      const mark = { topic: where, user: ben, kind: 'read' as const };
      await store.mark({ marks: [2, 9].map((offset) => ({ ...mark, offset, atMs: startMs + offset })) });
      const [archive, entries] = await move(store, 4);
      assert.deepEqual(
        entries.map(({ offset }) => offset),
        [1, 2, 3, 4],
      );
      assert.deepEqual(await boundsOf(store, where), [5, 10]);
      assert.deepEqual(
        (await pageOf(store, where)).map(({ offset }) => offset),
        [5, 6, 7, 8, 9, 10],
      );
      assert.equal((await found(store, 'word')).length, 6);
      assert.deepEqual(await found(store, 'w4'), []);
      assert.deepEqual(await store.find({ tenant, messageId: entries[0]!.messageId }), []);
      const [receipt] = await store.receipts({ topic: where, offset: 1, limit: 5 });
      assert.equal(receipt!.readAtMs, startMs + 9);
      assert.deepEqual(await store.archives({ limit: 10 }), [archive]);
      assert.deepEqual(offsets(await store.append([entry({ topic: where })])), [11]);
    },
  );

  claim('a whole topic may be archived, and goes on where it ended', async (store) => {
    await withTen(store);
    await move(store, 10);
    assert.deepEqual(await boundsOf(store, where), [11, 10]);
    assert.deepEqual(offsets(await store.append([entry({ topic: where })])), [11]);
  });

  claim(
    'what is not as it was read does not move: an edit, a deletion or an erasure came first',
    async (store) => {
      await withTen(store);
      const entries = (await pageOf(store, where)).slice(0, 4);
      const request = { archive: archiveOf(entries), fingerprint: fingerprintOf(entries) };
      const target = entries[1]!;
      const of = { topic: where, from: ben, target: target.messageId };
      const changes = [
        () => store.append([entry({ ...of, kind: 'edited', payload: target.payload })]),
        () => store.append([entry({ ...of, kind: 'deleted' })]),
        () => store.erase({ tenant, user: ann, atMs: 5_000 }),
      ];
      for (const change of changes) {
        const read = (await pageOf(store, where)).slice(0, 4);
        await change();
        const stale = { ...request, fingerprint: fingerprintOf(read) };
        assert.equal(await leading(store, (lead) => lead.move(stale)), false);
      }
      assert.deepEqual(await store.archives({ limit: 10 }), []);
      assert.deepEqual(await boundsOf(store, where), [1, 12]);
    },
  );

  claim('what is not at the beginning of the log does not move', async (store) => {
    await withTen(store);
    const all = await pageOf(store, where);
    const later = { archive: archiveOf(all.slice(2, 4)), fingerprint: fingerprintOf(all.slice(2, 4)) };
    assert.equal(await leading(store, (lead) => lead.move(later)), false);
    await store.prune({ topic: where, beforeMs: startMs + 15_000, limit: 10 });
    const gone = { archive: archiveOf(all.slice(0, 4)), fingerprint: fingerprintOf(all.slice(0, 4)) };
    assert.equal(await leading(store, (lead) => lead.move(gone)), false);
    const nowhere = { ...gone, archive: { ...gone.archive, topic: topic('nowhere') } };
    assert.equal(await leading(store, (lead) => lead.move(nowhere)), false);
    assert.deepEqual(await boundsOf(store, where), [3, 10]);
  });
}

function claimIndex(claim: Claim): void {
  claim(
    'archives come by topic and offset, in pages, of a topic, of a tenant, or of a time',
    async (store) => {
      const places = [where, topic('old', 'other'), topic('new')];
      for (const place of places) {
        await store.append([1, 2, 3].map((day) => entry({ topic: place, timestampMs: startMs + day })));
        for (let count = 0; count < 3; count++) await move(store, 1, place);
      }
      const named = (archives: Archive[]) =>
        archives.map(({ topic: of, firstOffset }) => `${of} ${firstOffset}`);
      const all = ['default|new', 'default|old', 'other|old'].flatMap((name) =>
        [1, 2, 3].map((offset) => `${name} ${offset}`),
      );
      const seen: Archive[] = [];
      for (;;) {
        const page = await store.archives({ after: seen.at(-1), limit: 2 });
        if (page.length === 0) break;
        seen.push(...page);
      }
      assert.deepEqual(named(seen), all);
      assert.deepEqual(named(await store.archives({ topic: where, limit: 9 })), all.slice(3, 6));
      assert.deepEqual(named(await store.archives({ tenant: 'other' as never, limit: 9 })), all.slice(6));
      const after = { topic: where, firstOffset: 1 };
      assert.deepEqual(named(await store.archives({ topic: where, after, limit: 1 })), [all[4]]);
      const early = await store.archives({ tenant, endedBeforeMs: startMs + 2, limit: 9 });
      assert.deepEqual(named(early), ['default|new 1', 'default|old 1']);
    },
  );

  claim('topics say how old their oldest entry is', async (store) => {
    await withTen(store);
    await store.append([entry({ topic: topic('z'), timestampMs: startMs + 5 })]);
    await move(store, 1, topic('z'));
    await move(store, 2);
    const ages = await store.topicAges({ after: undefined, limit: 1 });
    assert.deepEqual(ages, [{ topic: where, oldestMs: startMs + 20_000, heldUntilMs: undefined }]);
    assert.deepEqual(await store.topicAges({ after: where, limit: 5 }), [
      { topic: topic('z'), oldestMs: undefined, heldUntilMs: undefined },
    ]);
  });

  claim(
    'an archive gets another file, or is forgotten, as long as it is the one that was meant',
    async (store) => {
      await withTen(store);
      const [archive] = await move(store, 4);
      const by = { file: 'default/old/b.ndjson.gz', bytes: 900, sha256: 'sha b' };
      assert.equal(await leading(store, (lead) => lead.replace({ archive, by })), true);
      assert.equal(await leading(store, (lead) => lead.replace({ archive, by })), false);
      assert.deepEqual(await store.archives({ limit: 9 }), [{ ...archive, ...by }]);
      await leading(store, (lead) => lead.drop(archive));
      assert.equal((await store.archives({ limit: 9 })).length, 1);
      await leading(store, (lead) => lead.drop({ ...archive, ...by }));
      assert.deepEqual(await store.archives({ limit: 9 }), []);
    },
  );
}

function claimRestoring(claim: Claim): void {
  claim('what is restored is as it was, found by its words, and held', async (store) => {
    await withTen(store);
    const [message, letter] = [entry({ topic: where, payload: bytes(1) }), direct(ann, ben)];
    await store.append([message, letter]);
    await store.append([amend('edited', message, { payload: bytes(2), text: 'new' })]);
    const deleted = (await pageOf(store, where))[0]!;
    const remove = entry({ kind: 'deleted', topic: where, from: ann, target: deleted.messageId });
    await store.append([remove]);
    for (const place of [where, inbox(ben)]) {
      const before = await pageOf(store, place);
      const [archive, entries] = await move(store, 1_000, place);
      assert.deepEqual(await pageOf(store, place), []);
      assert.equal(await restore(store, archive, entries), 'restored');
      assert.deepEqual(await pageOf(store, place), before);
      assert.deepEqual(await boundsOf(store, place), [1, before.length]);
    }
    assert.deepEqual(await store.archives({ limit: 9 }), []);
    assert.deepEqual(await found(store, 'w4'), [(await pageOf(store, where))[3]!.messageId]);
    const [, old] = await store.topicAges({ after: undefined, limit: 9 }).then((ages) => ages.slice(-2));
    assert.deepEqual(old, { topic: where, oldestMs: startMs, heldUntilMs: 7 });
    const edit = entry({
      kind: 'edited',
      topic: where,
      from: ben,
      target: (await pageOf(store, where))[3]!.messageId,
    });
    assert.deepEqual(offsets(await store.append([edit])), [14]);
    assert.deepEqual(offsets(await store.append([entry({ topic: where, key: 'k1' })])), [15], 'a new key');
  });

  claim('the youngest comes back first, and nothing twice', async (store) => {
    await withTen(store);
    const [first, second] = [await move(store, 4), await move(store, 3)];
    assert.equal(await restore(store, ...first), 'apart');
    assert.deepEqual(await boundsOf(store, where), [8, 10]);
    assert.equal((await store.archives({ limit: 9 })).length, 2);
    assert.equal(await restore(store, ...second), 'restored');
    assert.equal(await restore(store, ...second), 'gone');
    assert.equal(await restore(store, { ...first[0], sha256: 'another' }, first[1]), 'gone');
    assert.equal(await restore(store, ...first), 'restored');
    assert.deepEqual(
      (await pageOf(store, where)).map(({ offset }) => offset),
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    );
  });

  claim('what was restored can be archived, and restored, again', async (store) => {
    await withTen(store);
    for (let round = 0; round < 3; round++) {
      const [archive, entries] = await move(store, 4);
      assert.equal(await restore(store, archive, entries), 'restored');
    }
    assert.deepEqual(await boundsOf(store, where), [1, 10]);
  });
}

function claimErasure(claim: Claim): void {
  claim('an erasure waits for archives where the tenant has any', async (store) => {
    await withTen(store);
    await store.append([entry({ topic: topic('old', 'other') })]);
    await store.erase({ tenant, user: ann, atMs: 5_000 });
    assert.deepEqual(await store.erasures(), []);
    await move(store, 4);
    await store.erase({ tenant: 'other' as never, user: ann, atMs: 5_000 });
    assert.deepEqual(await store.erasures(), []);
    await store.erase({ tenant, user: ben, atMs: 6_000 });
    const pending = await store.erasures();
    assert.ok(pending.length > 0);
    for (const { id: _id, ...erasure } of pending)
      assert.deepEqual(erasure, { tenant, user: ben, atMs: 6_000 });
    for (const erasure of pending) await leading(store, (lead) => lead.settle(erasure));
    assert.deepEqual(await store.erasures(), []);
  });

  claim('what is restored behind an erasure comes without what was erased', async (store) => {
    await withTen(store);
    const [archive, entries] = await move(store, 4);
    const atMs = startMs + 1_000_000;
    await store.erase({ tenant, user: ann, atMs });
    assert.equal(await restore(store, archive, entries), 'restored');
    assert.deepEqual(
      (await pageOf(store, where))
        .slice(0, 4)
        .map(({ payload, event, deletedAtMs }) => [payload[0], event, deletedAtMs]),
      entries.map(({ from, payload, event }) =>
        from === ann ? [0xc0, undefined, atMs] : [payload[0], event, undefined],
      ),
    );
    assert.equal((await found(store, 'again')).length, 2);
  });

  claim(
    'edits in the log of a message that is archived lose their content when they are told to',
    async (store) => {
      const message = entry({ topic: where, payload: bytes(1) });
      await store.append([message, entry({ topic: where })]);
      const other = entry({ topic: topic('other'), messageId: message.messageId });
      await store.append([amend('edited', message, { payload: bytes(2) }), other]);
      await move(store, 1);
      const targets = [message.messageId];
      await leading(store, (lead) => lead.blankEdits({ topic: where, targets }));
      assert.equal((await pageOf(store, where)).at(-1)!.payload[0], 0xc0);
      assert.equal((await pageOf(store, other.topic))[0]!.payload[0], other.payload[0]);
      await leading(store, (lead) => lead.blankEdits({ topic: topic('nowhere'), targets }));
    },
  );
}
