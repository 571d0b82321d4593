/** PostgreSQL keeps the contract of the store; one server for the file, a database for each claim. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fingerprintOf } from '../../src/store/archive-lines.ts';
import { StoreUnavailableError } from '../../src/store/history-store.ts';
import { PostgresHistoryStore } from '../../src/store/postgres/postgres-history-store.ts';
import { eventually } from '../kit/eventually.ts';
import { type Postgres, startPostgres } from '../kit/postgres.ts';
import {
  ann,
  ben,
  boundsOf,
  bytes,
  direct,
  entry,
  found,
  offsets,
  pageOf,
  startMs,
  tenant,
  topic,
} from './entries.ts';
import { historyStoreContract } from './history-store.ts';
import { newDatabase, withClient } from './postgres-databases.ts';

let server: Postgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.close());

historyStoreContract('PostgreSQL', async () => PostgresHistoryStore.open(await newDatabase(server)));

function partitionsOf(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'messages'::regclass ORDER BY 1`,
    );
    return rows.map(({ name }) => name);
  });
}

test('PostgreSQL: what was stored is there when it is opened again, under the same epoch', async () => {
  const url = await newDatabase(server);
  const first = await PostgresHistoryStore.open(url);
  const kept = entry({ key: 'k' });
  await first.append([kept, entry()]);
  await first.close();
  const second = await PostgresHistoryStore.open(url);
  assert.equal(second.epoch, first.epoch);
  assert.deepEqual(await second.append([entry({ key: 'k' }), entry()]), [
    { state: 'duplicate', messageId: kept.messageId, offset: 1, copyOffset: undefined },
    { state: 'stored', offset: 3, copyOffset: undefined },
  ]);
  await second.close();
  const other = await PostgresHistoryStore.open(await newDatabase(server));
  assert.notEqual(other.epoch, first.epoch);
  await other.close();
});

test('PostgreSQL: servers that start together on a new database agree', async () => {
  const url = await newDatabase(server);
  const stores = await Promise.all(Array.from({ length: 4 }, () => PostgresHistoryStore.open(url)));
  assert.equal(new Set(stores.map(({ epoch }) => epoch)).size, 1);
  await Promise.all(stores.map((store) => store.close()));
});

test('PostgreSQL: two servers may append to the same topics at the same time', async () => {
  const url = await newDatabase(server);
  const stores = await Promise.all([PostgresHistoryStore.open(url), PostgresHistoryStore.open(url)]);
  const names = Array.from({ length: 6 }, (_, index) => `t:${index}`);
  const results = await Promise.all(
    stores.map(async (store, side) => {
      const answered: [name: string, offset: number][] = [];
      for (let round = 0; round < 40; round++) {
        // New topics in each round, in opposite orders.
        const all = [...names, `new:${round}`, `late:${round}`];
        const batch = (side === 0 ? all : all.toReversed()).map((name) => ({
          name,
          given: entry({ topic: topic(name) }),
        }));
        const offsetsGiven = offsets(await store.append(batch.map(({ given }) => given)));
        for (const [index, { name }] of batch.entries()) answered.push([name, offsetsGiven[index] as number]);
      }
      return answered;
    }),
  );
  for (const name of names) {
    const given = results.flat().filter(([where]) => where === name);
    assert.deepEqual(
      given.map(([, offset]) => offset).sort((a, b) => a - b),
      Array.from({ length: 80 }, (_, index) => index + 1),
    );
    assert.deepEqual(await boundsOf(stores[0], topic(name)), [1, 80]);
  }
  const keyed = await Promise.all(stores.map((store) => store.append([entry({ key: 'k' })])));
  assert.deepEqual(keyed.map(([result]) => result!.state).sort(), ['duplicate', 'stored']);
  await Promise.all(stores.map((store) => store.close()));
});

test('PostgreSQL: people can read it with SQL', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  await store.append([entry({ event: 'note', timestampMs: startMs + 123 }), direct(ann, ben)]);
  await withClient(url, async (client) => {
    const { rows } = await client.query(
      `SELECT tenant, name, "offset"::int, sender, peer, event, created_at FROM messages JOIN topics USING (topic_id)
       ORDER BY name`,
    );
    assert.deepEqual(
      rows.map(({ created_at: _createdAt, ...row }) => Object.values(row)),
      [
        ['default', 'chat:a', 1, 'ann', null, 'note'],
        ['default', 'inbox:ann', 1, 'ann', 'ben', null],
        ['default', 'inbox:ben', 1, 'ann', 'ann', null],
      ],
    );
    assert.equal(rows[0].created_at.toISOString(), '2026-01-01T00:00:00.123Z');
  });
  await store.close();
});

test('PostgreSQL: months get their partitions ahead, and what has none is kept all the same', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const atOpen = await partitionsOf(url);
  assert.equal(atOpen.length, 3, 'this month, the next, and the net below');
  await store.append([entry({ timestampMs: Date.UTC(2031, 11, 31, 23, 59, 59, 999) })]);
  const fresh = (await partitionsOf(url)).filter((name) => !atOpen.includes(name));
  assert.deepEqual(fresh, ['messages_2031_12', 'messages_2032_01']);
  // As an import would: more months than one batch may make.
  const many = Array.from({ length: 40 }, (_, month) => entry({ timestampMs: Date.UTC(2000, month, 5) }));
  await store.append(many);
  assert.deepEqual((await partitionsOf(url)).length, 5);
  await withClient(url, async (client) => {
    const { rows } = await client.query('SELECT count(*)::int AS count FROM messages_default');
    assert.equal(rows[0].count, 40);
  });
  assert.equal((await pageOf(store, topic('chat:a'))).length, 41);
  await store.close();
});

test('PostgreSQL: a month whose partition cannot be made goes to the net below, without waiting long', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  await withClient(url, async (client) => {
    await client.query('BEGIN; SELECT count(*) FROM messages');
    assert.deepEqual(offsets(await store.append([entry({ timestampMs: Date.UTC(2031, 5) })])), [1]);
  });
  assert.deepEqual(offsets(await store.append([entry({ timestampMs: Date.UTC(2031, 5, 2) })])), [2]);
  assert.ok(!(await partitionsOf(url)).includes('messages_2031_06'));
  await store.close();
});

test('PostgreSQL: a batch that fails stores nothing of itself, and the next one goes on without a hole', async () => {
  const store = await PostgresHistoryStore.open(await newDatabase(server));
  await store.append([entry()]);
  const broken = entry({ messageId: 'no id' as never, topic: topic('new') });
  await assert.rejects(store.append([entry(), entry(), broken]), StoreUnavailableError);
  const twice = entry();
  await assert.rejects(store.append([twice, twice]), StoreUnavailableError);
  assert.deepEqual(offsets(await store.append([entry(), entry({ topic: topic('new') })])), [2, 1]);
  await store.close();
});

test('PostgreSQL: appends that are asked for at once take turns', async () => {
  const store = await PostgresHistoryStore.open(await newDatabase(server));
  const results = await Promise.all(Array.from({ length: 10 }, () => store.append([entry(), entry()])));
  assert.deepEqual(
    results.flatMap(offsets),
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  await store.close();
  await assert.rejects(store.append([entry()]), StoreUnavailableError);
});

test('PostgreSQL: a key is good for a day, even when its message is gone', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const [young, old] = [entry({ key: 'young', timestampMs: Date.now() }), entry({ key: 'old' })];
  await store.append([old, young]);
  assert.equal(await store.prune({ topic: topic('chat:a'), beforeMs: Date.now() + 1, limit: 10 }), 2);
  const again = [entry({ key: 'young' }), entry({ key: 'old' })];
  assert.deepEqual(offsets(await store.append(again)), [2, 3]);
  await withClient(url, (client) =>
    client.query(`UPDATE message_keys SET created_at = created_at - interval '24 hours' WHERE key = 'young'`),
  );
  assert.equal(await store.prune({ topic: topic('chat:a'), beforeMs: 0, limit: 10 }), 0);
  assert.deepEqual(offsets(await store.append([entry({ key: 'young' })])), [4]);
  await store.close();
});

test('PostgreSQL: a search knows the language that it is told, and the start says when there is no such one', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url, { searchLanguage: 'english' });
  const message = entry({ text: 'The runners were running through the cities' });
  await store.append([message]);
  assert.deepEqual(await found(store, 'run city'), [message.messageId]);
  assert.deepEqual(await found(store, 'the runner'), [message.messageId]);
  assert.deepEqual(await found(store, 'walk'), []);
  await store.close();
  await assert.rejects(
    PostgresHistoryStore.open(url, { searchLanguage: "klingon'" }),
    /DATABASE_URL is .*no text search configuration "klingon'"/,
  );
});

test('PostgreSQL: of several servers one has the lead of archives, and who loses the connection writes no more', async () => {
  const url = await newDatabase(server);
  const stores = await Promise.all([PostgresHistoryStore.open(url), PostgresHistoryStore.open(url)]);
  const [first, second] = stores as [PostgresHistoryStore, PostgresHistoryStore];
  const lead = await first.leadArchives({ waitMs: 10_000 });
  assert.equal(await second.leadArchives({ waitMs: 50 }), undefined);
  const waiting = second.leadArchives({ waitMs: 10_000 });
  await lead!.release();
  const next = await waiting;
  const erasure = { id: 1, tenant, user: ann, atMs: 0 };
  await next!.settle(erasure);
  await withClient(url, (client) =>
    client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()`,
    ),
  );
  await assert.rejects(next!.settle(erasure), StoreUnavailableError);
  await next!.release();
  const after = await first.leadArchives({ waitMs: 10_000 });
  await after!.settle(erasure);
  await after!.release();
  await Promise.all(stores.map((store) => store.close()));
});

test('PostgreSQL: an erasure and a restore take turns', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const lead = await store.leadArchives({ waitMs: 10_000 });
  const place = { topic: topic('a'), firstOffset: 1, lastOffset: 1, fromMs: 0, toMs: 0, messageCount: 1 };
  const archive = { ...place, bytes: 1, sha256: '', file: '' };
  const done: string[] = [];
  let both: Promise<unknown> | undefined;
  await withClient(url, async (client) => {
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtext('carillon erasures'))`);
    both = Promise.all([
      store.erase({ tenant, user: ann, atMs: 0 }).then(() => done.push('erased')),
      lead!.restore({ archive, entries: [], heldUntilMs: 0 }).then((result) => done.push(result)),
    ]);
    await sleep(200);
    assert.deepEqual(done, [], "the turn is somebody else's");
    await client.query('COMMIT');
  });
  await both;
  assert.deepEqual(done.sort(), ['erased', 'gone']);
  await lead!.release();
  await store.close();
});

test('PostgreSQL: an erasure and a restore at the same time leave nothing of the user', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const where = topic('chat:a');
  for (let round = 0; round < 15; round++) {
    const user = `user${round}` as typeof ann;
    const { lastOffset } = await store.page({ topic: where, view: 'log', limit: 0 });
    await store.append(Array.from({ length: 20 }, () => entry({ from: user, payload: bytes(7) })));
    const page = await store.page({ topic: where, view: 'log', after: lastOffset, limit: 1_000 });
    const entries = page.messages;
    const archive = {
      ...{ topic: where, firstOffset: lastOffset + 1, lastOffset: page.lastOffset, fromMs: 0, toMs: 0 },
      ...{ messageCount: 20, bytes: 1, sha256: `sha ${round}`, file: `${round}` },
    };
    const lead = await store.leadArchives({ waitMs: 10_000 });
    assert.ok(await lead!.move({ archive, fingerprint: fingerprintOf(entries) }));
    const restored = entries.map((message) => ({ ...message, text: 'secret' }));
    await Promise.all([
      store.erase({ tenant, user, atMs: startMs * 2 }),
      sleep(round).then(() => lead!.restore({ archive, entries: restored, heldUntilMs: 0 })),
    ]);
    const { messages } = await store.page({ topic: where, view: 'log', after: lastOffset, limit: 1_000 });
    assert.deepEqual(new Set(messages.map(({ payload }) => payload[0])), new Set([0xc0]), `round ${round}`);
    assert.deepEqual(await found(store, 'secret'), []);
    await lead!.release();
    await store.prune({ topic: where, beforeMs: startMs * 2, limit: 1_000 });
  }
  await store.close();
});

/** What PostgreSQL said, or undefined when it did it. */
async function refusalOf(asked: Promise<unknown>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    assert.ok(error instanceof StoreUnavailableError);
    return (error.cause as Error).message;
  }
}

test('PostgreSQL: a probe fails on a server that only reads, until it writes again', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const where = topic('chat:a');
  /** From now on, for the store as well, which has to connect again. */
  const setReadOnly = (value: 'on' | 'off') =>
    withClient(url, async (client) => {
      await client.query('SET default_transaction_read_only = off');
      const database = new URL(url).pathname.slice(1);
      await client.query(`ALTER DATABASE ${database} SET default_transaction_read_only = ${value}`);
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      );
    });
  await setReadOnly('on');
  await eventually('it says why', async () => /read-only/.test((await refusalOf(store.probe())) ?? ''));
  await eventually('it reads', async () => (await refusalOf(boundsOf(store, where))) === undefined);
  assert.match((await refusalOf(store.probe())) ?? '', /read-only/, 'still');
  await setReadOnly('off');
  await eventually('it writes', async () => (await refusalOf(store.probe())) === undefined);
  assert.deepEqual(offsets(await store.append([entry()])), [1]);
  await store.close();
  await assert.rejects(store.probe(), StoreUnavailableError);
});

test('PostgreSQL: a probe fails on a lock of the messages, and not behind it', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url, { statementTimeoutMs: 1_000 });
  await withClient(url, async (client) => {
    await client.query('BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE');
    assert.match((await refusalOf(store.probe())) ?? '', /timeout/);
    await client.query('ROLLBACK');
  });
  await store.probe();
  await store.close();
});
