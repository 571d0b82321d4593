/** What becomes of kept sessions when the process begins, and when its store's thread alone dies. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { type SessionId, type ShardId, storePeer, type Tenant, type UserId, userKey } from '#proto/names.ts';
import { databaseFile } from '../../src/store/sqlite/open-database.ts';
import { SqliteHistoryStore } from '../../src/store/sqlite/sqlite-history-store.ts';
import { eventually } from '../kit/eventually.ts';
import { startTestServer } from '../kit/test-server.ts';

test('sessions are released when the process begins, and not when the store is restarted', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'carillon-kept-'));
  const user = userKey('default' as Tenant, 'ann' as UserId);
  const session = 's' as SessionId;
  const store = new SqliteHistoryStore(dataDir);
  const kept = {
    session,
    tokenHash: 'hash',
    former: undefined,
    user,
    home: 0 as ShardId,
    expiresAtMs: undefined,
  };
  await store.keep({ sessions: [{ ...kept, state: Uint8Array.of(1) }], ended: [], seen: [] });
  await store.close();
  const startedMs = Date.now();
  const server = await startTestServer({ DATA_DIR: dataDir, JWT_SECRET: 'x'.repeat(32), SESSION_TTL: '90s' });
  const path = join(dataDir, databaseFile);
  const reader = new SqliteHistoryStore(dataDir, { readOnly: true });
  const { expiresAtMs } = (await reader.kept({ session, user, nowMs: startedMs }))!;
  assert.ok(expiresAtMs! >= startedMs + 90_000 && expiresAtMs! <= Date.now() + 90_000);
  const writer = new DatabaseSync(path, { timeout: 30_000 }); // the server may be writing
  writer.exec('UPDATE sessions SET expires_at = NULL');
  writer.close();
  server.failpoint(storePeer, 'store.exit');
  await eventually('the store is back', () => server.logs.some(({ msg }) => msg === 'the store is back'));
  assert.equal((await reader.kept({ session, user, nowMs: startedMs }))!.expiresAtMs, undefined);
  await reader.close();
  await server.stop();
});
