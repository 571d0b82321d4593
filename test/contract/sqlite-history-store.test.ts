/** SQLite keeps the contract of the store, and what it was told to keep survives. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { type SessionId, type ShardId, userKey } from '#proto/names.ts';
import { StoreUnavailableError } from '../../src/store/history-store.ts';
import { databaseFile } from '../../src/store/sqlite/open-database.ts';
import { SqliteHistoryStore } from '../../src/store/sqlite/sqlite-history-store.ts';
import { ann, boundsOf, bytes, entry, startMs, tenant } from './entries.ts';
import { historyStoreContract } from './history-store.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-store-'));
  folders.push(folder);
  return folder;
}

historyStoreContract('SQLite', async () => new SqliteHistoryStore(newFolder()));
historyStoreContract('SQLite in memory', async () => new SqliteHistoryStore(':memory:'));

test('SQLite: what was stored is there when it is opened again, under the same epoch', async () => {
  const folder = newFolder();
  const first = new SqliteHistoryStore(folder);
  const { epoch } = first;
  const kept = entry({ key: 'k' });
  await first.append([kept, entry()]);
  await first.close();
  const second = new SqliteHistoryStore(folder);
  assert.equal(second.epoch, epoch);
  assert.deepEqual(await second.append([entry({ key: 'k' }), entry()]), [
    { state: 'duplicate', messageId: kept.messageId, offset: 1, copyOffset: undefined },
    { state: 'stored', offset: 3, copyOffset: undefined },
  ]);
  await second.close();
  const other = new SqliteHistoryStore(newFolder());
  assert.notEqual(other.epoch, epoch);
  await other.close();
});

test('SQLite: sessions and users who were seen are there when it is opened again', async () => {
  const folder = newFolder();
  const first = new SqliteHistoryStore(folder);
  const user = userKey(tenant, ann);
  const [a, former] = ['a', 'b'].map((name) => ({
    session: name as SessionId,
    tokenHash: `hash of ${name}`,
  }));
  const kept = { ...a!, former, user, home: 0 as ShardId, state: bytes(7), expiresAtMs: undefined };
  const seen = [{ user, lastSeenMs: startMs + 1, devices: bytes(9) }];
  await first.keep({ sessions: [kept], ended: [], seen });
  await first.close();
  const second = new SqliteHistoryStore(folder);
  const find = (session: SessionId) => second.kept({ session, user, nowMs: startMs });
  assert.deepEqual([await find(a!.session), await find(former!.session)], [kept, kept]);
  assert.deepEqual(await second.seen({ users: [user] }), seen);
  await second.close();
});

test('SQLite: a second server on the same folder is refused with a sentence, until the first is gone', async () => {
  const folder = newFolder();
  const first = new SqliteHistoryStore(folder);
  assert.throws(() => new SqliteHistoryStore(folder), /DATA_DIR is ".*"; another server is using it/);
  await first.append([entry()]);
  await first.close();
  await new SqliteHistoryStore(folder).close();
});

test('SQLite: people can read it while the server runs', async () => {
  const folder = newFolder();
  const store = new SqliteHistoryStore(folder);
  await store.append([entry(), entry()]);
  const reader = new DatabaseSync(join(folder, databaseFile), { readOnly: true });
  const row = reader
    .prepare('SELECT count(*) AS count, max(name) AS name FROM messages JOIN topics USING (topic_id)')
    .get();
  assert.deepEqual({ ...row }, { count: 2, name: 'chat:a' });
  reader.close();
  await store.close();
});

test('SQLite: a batch that fails stores nothing of itself, and the next one goes on without a hole', async () => {
  const folder = newFolder();
  const store = new SqliteHistoryStore(folder);
  await store.append([entry()]);
  const broken = entry({ payload: 'no bytes' as unknown as Uint8Array });
  await assert.rejects(store.append([entry(), entry(), broken]), StoreUnavailableError);
  assert.deepEqual(await store.append([entry()]), [{ state: 'stored', offset: 2, copyOffset: undefined }]);
  await store.close();
});

test('SQLite: a database of a newer release, a changed one and a damaged one end the start with a sentence', async () => {
  const cases: [spoil: string, says: RegExp][] = [
    [
      `INSERT INTO migrations VALUES (999, '999-later.sql', 'x')`,
      /999-later\.sql, which this release does not know/,
    ],
    [`UPDATE migrations SET checksum = 'x'`, /another text of migration 001-history\.sql/],
  ];
  for (const [spoil, says] of cases) {
    const folder = newFolder();
    await new SqliteHistoryStore(folder).close();
    const database = new DatabaseSync(join(folder, databaseFile));
    database.exec(spoil);
    database.close();
    assert.throws(() => new SqliteHistoryStore(folder), says);
    assert.throws(() => new SqliteHistoryStore(folder), /DATA_DIR is/, 'and its lock is free again');
  }
  const folder = newFolder();
  writeFileSync(join(folder, databaseFile), 'this is no database, however long one looks at it');
  assert.throws(() => new SqliteHistoryStore(folder), /carillon\.db cannot be used: file is not a database/);
});

test('SQLite: it can be opened for reading while a server has it, and by nobody who would write', async () => {
  const folder = newFolder();
  assert.throws(
    () => new SqliteHistoryStore(folder, { readOnly: true }),
    /DATA_DIR is ".*"; there is no carillon\.db in it/,
  );
  const store = new SqliteHistoryStore(folder);
  await store.append([entry(), entry()]);
  const reader = new SqliteHistoryStore(folder, { readOnly: true });
  assert.equal(reader.epoch, store.epoch);
  await store.append([entry()]);
  assert.equal((await reader.page({ topic: entry().topic, view: 'log', limit: 9 })).messages.length, 3);
  await assert.rejects(reader.append([entry()]), StoreUnavailableError);
  await reader.close();
  await store.close();
  const late = new SqliteHistoryStore(folder, { readOnly: true });
  assert.deepEqual(await late.archives({ limit: 9 }), []);
  await late.close();
  const database = new DatabaseSync(join(folder, databaseFile));
  database.exec('DELETE FROM migrations WHERE number = 2');
  database.close();
  assert.throws(
    () => new SqliteHistoryStore(folder, { readOnly: true }),
    /older release: start the server once/,
  );
});

test('SQLite: a database of the first release becomes one of this', async () => {
  const folder = newFolder();
  const store = new SqliteHistoryStore(folder);
  await store.append([entry()]);
  await store.close();
  const database = new DatabaseSync(join(folder, databaseFile));
  database.exec(`DROP TABLE archives; DROP TABLE erasures; ALTER TABLE topics DROP COLUMN held_until;
    DROP TABLE sessions; DROP TABLE seen_users; DELETE FROM migrations WHERE number > 1`);
  database.close();
  const again = new SqliteHistoryStore(folder);
  assert.deepEqual(await again.topicAges({ after: undefined, limit: 9 }).then((ages) => ages.length), 1);
  await again.close();
});

test('SQLite: a probe fails where entries could not be written', async () => {
  const folder = newFolder();
  const store = new SqliteHistoryStore(folder);
  const reader = new SqliteHistoryStore(folder, { readOnly: true });
  await assert.rejects(reader.probe(), StoreUnavailableError);
  assert.deepEqual(await boundsOf(reader, entry().topic), [1, 0], 'what it reads goes on');
  await reader.close();
  await store.probe();
  await store.close();
});
