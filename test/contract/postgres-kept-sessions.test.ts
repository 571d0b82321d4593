/** Sessions in PostgreSQL: reopened, read by people, and written by several servers at a time. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type SessionId, type ShardId, type UserId, userKey } from '#proto/names.ts';
import type { KeptSession } from '../../src/store/history-store.ts';
import { PostgresHistoryStore } from '../../src/store/postgres/postgres-history-store.ts';
import { type Postgres, startPostgres } from '../kit/postgres.ts';
import { ann, bytes, startMs, tenant } from './entries.ts';
import { newDatabase, withClient } from './postgres-databases.ts';

let server: Postgres;
before(async () => {
  server = await startPostgres();
});
after(() => server.close());

const user = userKey(tenant, ann);

function kept(session: string, expiresAtMs?: number): KeptSession {
  const former = { session: `before ${session}` as SessionId, tokenHash: 'former' };
  return {
    session: session as SessionId,
    ...{ tokenHash: 'hash', former, user, home: 0 as ShardId, state: bytes(7), expiresAtMs },
  };
}

async function openTwo(url: string): Promise<[PostgresHistoryStore, PostgresHistoryStore]> {
  return Promise.all([PostgresHistoryStore.open(url), PostgresHistoryStore.open(url)]);
}

test('PostgreSQL: sessions and users who were seen are there when it is opened again', async () => {
  const url = await newDatabase(server);
  const first = await PostgresHistoryStore.open(url);
  const seen = [{ user, lastSeenMs: startMs + 1, devices: bytes(9) }];
  await first.keep({ sessions: [kept('a'), kept('b', startMs + 5)], ended: [], seen });
  await first.close();
  const second = await PostgresHistoryStore.open(url);
  const find = (session: string) => second.kept({ session: session as SessionId, user, nowMs: startMs });
  assert.deepEqual(await find('a'), kept('a'));
  assert.deepEqual(await find('before b'), kept('b', startMs + 5));
  assert.deepEqual(await second.seen({ users: [user] }), seen);
  await second.close();
});

test('PostgreSQL: what was kept before the end of the store is kept', async () => {
  const url = await newDatabase(server);
  const first = await PostgresHistoryStore.open(url);
  const keeps = Array.from({ length: 20 }, (_, index) =>
    first.keep({ sessions: [kept(`s-${index}`)], ended: [], seen: [] }),
  );
  await Promise.all([...keeps, first.close()]);
  await withClient(url, async (client) => {
    const { rows } = await client.query('SELECT count(*)::int AS count FROM sessions WHERE user_id = $1', [
      ann,
    ]);
    assert.equal(rows[0].count, 20);
  });
});

test('PostgreSQL: people can read sessions with SQL', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  const seen = [{ user, lastSeenMs: startMs + 123, devices: bytes(9) }];
  await store.keep({ sessions: [kept('a', startMs + 5)], ended: [], seen });
  await withClient(url, async (client) => {
    const { rows } = await client.query(
      'SELECT session_id, former_id, expires_at, last_seen_at FROM sessions JOIN seen_users USING (tenant, user_id)',
    );
    const [{ expires_at: expiresAt, last_seen_at: lastSeenAt, ...row }] = rows;
    assert.deepEqual({ ...row }, { session_id: 'a', former_id: 'before a' });
    assert.deepEqual(
      [expiresAt.toISOString(), lastSeenAt.toISOString()],
      ['2026-01-01T00:00:00.005Z', '2026-01-01T00:00:00.123Z'],
    );
  });
  await store.close();
});

test('PostgreSQL: servers that keep, end, release, sweep and erase the same sessions do not stop each other', async () => {
  const stores = await openTwo(await newDatabase(server));
  const all = Array.from({ length: 200 }, (_, index) => `s-${index}`);
  const users = all.map((name) => userKey(tenant, name as UserId));
  const work = stores.flatMap((store, side) =>
    Array.from({ length: 30 }, async (_, round) => {
      const names = side === 0 ? all : all.toReversed();
      const seenUsers = side === 0 ? users : users.toReversed();
      const ended = names.filter((_name, index) => (index + round) % 3 === 0) as SessionId[];
      await store.keep({
        sessions: names.map((name) => kept(name, round % 2 === 0 ? startMs : undefined)),
        ended: side === 0 ? ended : ended.toReversed(),
        seen: seenUsers.map((one) => ({ user: one, lastSeenMs: round, devices: bytes(round) })),
      });
      if (round % 5 === side) await store.releaseSessions({ expiresAtMs: startMs });
      if (round % 5 === 2) await store.sweepSessions({ nowMs: startMs, limit: 50 });
      if (round % 10 === 3) await store.erase({ tenant, user: ann, atMs: startMs });
    }),
  );
  await Promise.all(work);
  const seen = await stores[0].seen({ users });
  assert.deepEqual(new Set(seen.map(({ lastSeenMs }) => lastSeenMs)), new Set([29]));
  await Promise.all(stores.map((store) => store.close()));
});

test('PostgreSQL: what is being written while sessions are released is released as well', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  await store.keep({ sessions: [kept('a')], ended: [], seen: [] });
  await withClient(url, async (client) => {
    await client.query(`BEGIN; UPDATE sessions SET token_hash = 'new' WHERE session_id = 'a'`);
    const release = store.releaseSessions({ expiresAtMs: startMs + 1 });
    await sleep(50);
    await client.query('COMMIT');
    await release;
  });
  const found = await store.kept({ session: 'a' as SessionId, user, nowMs: startMs });
  assert.deepEqual(found, { ...kept('a', startMs + 1), tokenHash: 'new' });
  await store.close();
});

test('PostgreSQL: a sweep leaves what another server writes, and spares what came back meanwhile', async () => {
  const url = await newDatabase(server);
  const store = await PostgresHistoryStore.open(url);
  await store.keep({ sessions: [kept('a', startMs), kept('b', startMs)], ended: [], seen: [] });
  await withClient(url, async (client) => {
    await client.query(`BEGIN; UPDATE sessions SET expires_at = NULL WHERE session_id = 'a'`);
    assert.equal(await store.sweepSessions({ nowMs: startMs, limit: 10 }), 1);
    await store.releaseSessions({ expiresAtMs: startMs + 1 });
    await client.query('COMMIT');
  });
  assert.equal(await store.sweepSessions({ nowMs: startMs, limit: 10 }), 0);
  assert.deepEqual(
    await store.kept({ session: 'a' as SessionId, user, nowMs: startMs }),
    kept('a'),
    'it was connected behind the look of the release',
  );
  await store.close();
});
