/** Claims of what an operator asks: erasure, statistics, topics, retention. */
import assert from 'node:assert/strict';
import type { TopicKey } from '#proto/names.ts';
import type { HistoryStore } from '../../../src/store/history-store.ts';
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
  idOf,
  inbox,
  offsets,
  pageOf,
  startMs,
  tenant,
  topic,
} from '../entries.ts';

const dayMs = 86_400_000;

export function claimUpkeep(claim: Claim): void {
  claimErasure(claim);
  claimStatistics(claim);
  claimRetention(claim);
  claimProbe(claim);
}

function claimProbe(claim: Claim): void {
  claim('a probe finds that entries could be written, and leaves nothing behind', async (store) => {
    const { epoch } = store;
    await store.probe();
    await store.append([entry()]);
    await Promise.all([store.probe(), store.append([entry()]), store.probe()]);
    assert.deepEqual(await boundsOf(store, topic('chat:a')), [1, 2]);
    assert.deepEqual([store.epoch, (await store.topics({ after: undefined, limit: 9 })).length], [epoch, 1]);
  });
}

function claimErasure(claim: Claim): void {
  claim('erasing a user takes the content of what they wrote, and leaves the places', async (store) => {
    const [mine, theirs] = [
      entry({ event: 'e', text: 'secret', key: 'k' }),
      entry({ from: ben, text: 'secret' }),
    ];
    const [letter, reply] = [direct(ann, ben, { text: 'secret' }), direct(ben, ann)];
    const foreign = entry({ topic: topic('chat:a', 'other'), text: 'secret' });
    const deleted = entry();
    await store.append([mine, theirs, letter, reply, foreign, deleted, amend('deleted', deleted)]);
    assert.deepEqual(await store.erase({ tenant, user: ann, atMs: 5_000 }), { messageCount: 2 });
    const [first, second, third] = await pageOf(store, mine.topic, 'messages');
    assert.deepEqual([[...first!.payload], first!.event, first!.deletedAtMs], [[0xc0], undefined, 5_000]);
    assert.deepEqual([second!.payload[0], second!.deletedAtMs], [theirs.payload[0], undefined]);
    assert.notEqual(third!.deletedAtMs, 5_000, 'it was deleted before');
    for (const user of [ann, ben]) {
      const log = await pageOf(store, inbox(user));
      assert.deepEqual(
        log.map(({ payload }) => payload[0]),
        [0xc0, reply.payload[0]],
      );
    }
    assert.equal((await pageOf(store, foreign.topic))[0]!.payload[0], foreign.payload[0]);
    assert.deepEqual(await found(store, 'secret'), [theirs.messageId]);
    assert.deepEqual(await boundsOf(store, mine.topic), [1, 4]);
    assert.deepEqual(await store.erase({ tenant, user: ann, atMs: 6_000 }), { messageCount: 0 });
    assert.equal((await pageOf(store, mine.topic))[0]!.deletedAtMs, 5_000);
    assert.deepEqual(offsets(await store.append([amend('edited', mine)])), ['missing']);
  });

  claim('erasing reaches the edits of a message, whoever made them', async (store) => {
    const message = entry({ payload: bytes(1) });
    const byOther = amend('edited', message, { from: ben, mayAmendAny: true, payload: bytes(3) });
    await store.append([message, amend('edited', message, { payload: bytes(2) }), byOther]);
    assert.deepEqual(await store.erase({ tenant, user: ann, atMs: 5_000 }), { messageCount: 1 });
    const log = await pageOf(store, message.topic);
    assert.deepEqual(
      log.map(({ kind, payload, deletedAtMs }) => [kind, payload[0], deletedAtMs]),
      [
        ['message', 0xc0, 5_000],
        ['edited', 0xc0, undefined],
        ['edited', 0xc0, undefined],
      ],
    );
  });
}

function claimStatistics(claim: Claim): void {
  claim('statistics count the messages of a tenant, by day and by topic', async (store) => {
    const at = (name: string, day: number) =>
      entry({ topic: topic(name), timestampMs: startMs + day * dayMs });
    const message = at('a', 1);
    await store.append([message, at('a', 1), at('b', 1), at('a', 2), at('c', 0), at('c', 9)]);
    await store.append([amend('edited', message), entry({ topic: topic('a', 'other') })]);
    const nowMs = startMs + 9 * dayMs + 1;
    const { storeBytes, ...stats } = await store.stats({ tenant, nowMs, days: 9, limit: 10 });
    assert.ok(storeBytes > 0);
    assert.deepEqual(stats, {
      ...{ topicCount: 3, messageCount: 6 },
      perDay: [
        { day: '2026-01-10', topic: 'c', messageCount: 1 },
        { day: '2026-01-03', topic: 'a', messageCount: 1 },
        { day: '2026-01-02', topic: 'a', messageCount: 2 },
        { day: '2026-01-02', topic: 'b', messageCount: 1 },
      ],
      topTopics: [
        { topic: 'a', messageCount: 3 },
        { topic: 'c', messageCount: 2 },
        { topic: 'b', messageCount: 1 },
      ],
    });
    const few = await store.stats({ tenant, nowMs, days: 9, limit: 1 });
    assert.deepEqual([few.perDay.length, few.topTopics.length, few.messageCount], [1, 1, 6]);
    const none = await store.stats({ tenant: 'nobody' as never, nowMs, days: 9, limit: 1 });
    assert.deepEqual({ ...none, storeBytes: 0 }, { ...nothing });
  });

  claim('topics come in pages, each of them once, those of all tenants', async (store) => {
    const all = ['b', 'a', 'B', 'a:1', 'c'].flatMap((name) => [
      topic(name),
      topic(name, 'a.b'),
      topic(name, 'a'),
    ]);
    await store.append(all.map((name) => entry({ topic: name })));
    const seen: TopicKey[] = [];
    for (;;) {
      const page = await store.topics({ after: seen.at(-1), limit: 4 });
      assert.ok(page.length <= 4);
      if (page.length === 0) break;
      seen.push(...page);
    }
    assert.deepEqual([...seen].sort(), [...all].sort());
    const names = seen.filter((key) => key.startsWith('default|'));
    assert.deepEqual(names, ['default|B', 'default|a', 'default|a:1', 'default|b', 'default|c']);
  });
}

const nothing = { topicCount: 0, messageCount: 0, storeBytes: 0, perDay: [], topTopics: [] };

/** Ten messages, ten seconds apart. */
async function withTen(store: HistoryStore): Promise<TopicKey> {
  const where = topic('old');
  const batch = Array.from({ length: 10 }, (_, index) =>
    entry({ topic: where, timestampMs: startMs + index * 10_000, text: `word w${index}` }),
  );
  await store.append(batch);
  return where;
}

function claimRetention(claim: Claim): void {
  claim('retention takes the oldest: the log begins later, and goes on where it ended', async (store) => {
    const where = await withTen(store);
    const other = entry({ timestampMs: startMs, text: 'word' });
    await store.append([other]);
    const prune = (second: number, limit = 100) =>
      store.prune({ topic: where, beforeMs: startMs + second * 1_000, limit });
    assert.equal(await prune(0), 0);
    assert.deepEqual(await boundsOf(store, where), [1, 10]);
    assert.equal(await prune(30), 3);
    assert.deepEqual(await boundsOf(store, where), [4, 10]);
    assert.equal(await prune(1_000, 2), 2);
    assert.deepEqual(await boundsOf(store, where), [6, 10]);
    const { messages, hasMore } = await store.page({ topic: where, view: 'log', after: 0, limit: 2 });
    assert.deepEqual([messages.map(({ offset }) => offset), hasMore], [[6, 7], true]);
    assert.equal((await found(store, 'word')).length, 6);
    assert.deepEqual(await found(store, 'w4'), []);
    assert.deepEqual(await pageOf(store, other.topic).then(({ length }) => length), 1);
    assert.equal(await prune(1_000), 5);
    assert.deepEqual(await boundsOf(store, where), [11, 10]);
    assert.deepEqual(await pageOf(store, where), []);
    assert.equal(await prune(1_000), 0);
    assert.deepEqual(offsets(await store.append([entry({ topic: where })])), [11]);
    assert.deepEqual(await boundsOf(store, where), [11, 11]);
  });

  claim('retention takes a beginning only: nothing behind a younger entry', async (store) => {
    const where = topic('old');
    const times = [1, 2, 9, 3, 4].map((second) => startMs + second * 1_000);
    await store.append(times.map((timestampMs) => entry({ topic: where, timestampMs })));
    assert.equal(await store.prune({ topic: where, beforeMs: startMs + 5_000, limit: 100 }), 2);
    assert.deepEqual(await boundsOf(store, where), [3, 5]);
    assert.equal(await store.prune({ topic: where, beforeMs: startMs + 5_000, limit: 100 }), 0);
  });

  claim('what retention took is not there: not to find, to edit, or to ask receipts of', async (store) => {
    const where = await withTen(store);
    const gone = (await pageOf(store, where))[0]!;
    const mark = { topic: where, user: ben, kind: 'read' as const, atMs: startMs };
    await store.mark({ marks: [2, 9].map((offset) => ({ ...mark, offset, atMs: startMs + offset })) });
    await store.prune({ topic: where, beforeMs: startMs + 45_000, limit: 100 });
    assert.deepEqual(await store.find({ tenant, messageId: gone.messageId }), []);
    const edit = entry({ kind: 'edited', topic: where, target: gone.messageId });
    assert.deepEqual(offsets(await store.append([edit])), ['missing']);
    const readAtMs = startMs + 9;
    assert.deepEqual(await store.receipts({ topic: where, offset: 6, limit: 5 }), [
      { user: ben, deliveredAtMs: readAtMs, readAtMs },
    ]);
    assert.equal(await store.prune({ topic: topic('nowhere'), beforeMs: startMs, limit: 5 }), 0);
    assert.deepEqual(await store.find({ tenant, messageId: idOf(999_999) }), []);
  });
}
