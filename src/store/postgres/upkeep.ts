/**
 * What an operator asks of the log: topics, retention, erasure, statistics.
 * Thread: store. Called by postgres-history-store.ts, `prune` inside a transaction; `erase` makes its own. Shared with archives.ts.
 */
import {
  type Tenant,
  type TopicKey,
  type TopicName,
  tenantOfKey,
  topicKey,
  topicOfKey,
  type UserId,
} from '#proto/names.ts';
import type { HistoryStore, StoreQueries, StoreStats } from '../history-store.ts';
import { forgetUser } from './kept-sessions.ts';
import type { Readers } from './readers.ts';
import type { Sql } from './sql.ts';
import { timeFrom } from './values.ts';

const dayMs = 86_400_000;
/** Of one transaction of an erasure: appends to the topic wait for it. */
const biteOffsets = 2_000;
const erasuresLock = 'carillon erasures';
/** A key is good for a day at least, even where messages are kept for less. */
const keyAge = `interval '24 hours'`;

export async function topicsOf(
  sql: Sql,
  { after, limit }: Parameters<HistoryStore['topics']>[0],
): Promise<TopicKey[]> {
  const [tenant, name] = after === undefined ? ['', ''] : [tenantOfKey(after), topicOfKey(after)];
  const rows = await sql.all<{ tenant: Tenant; name: TopicName }>(
    'SELECT tenant, name FROM topics WHERE (tenant, name) > ($1, $2) ORDER BY tenant, name LIMIT $3',
    [tenant, name, limit],
  );
  return rows.map((row) => topicKey(row.tenant, row.name));
}

export async function prune(
  sql: Sql,
  { topic, beforeMs, limit }: Parameters<HistoryStore['prune']>[0],
): Promise<number> {
  const [row] = await sql.all<{ id: number; firstOffset: number }>(
    `SELECT topic_id AS id, first_offset AS "firstOffset" FROM topics WHERE tenant = $1 AND name = $2
     FOR NO KEY UPDATE`,
    [tenantOfKey(topic), topicOfKey(topic)],
  );
  if (row === undefined) return 0;
  const [oldest] = (await sql.all<{ lastPruned: number | null }>(oldestSql, [row.id, beforeMs, limit])) as [
    { lastPruned: number | null },
  ];
  const end = (oldest.lastPruned ?? row.firstOffset - 1) + 1;
  await forgetKeys(sql, row.id, end);
  if (oldest.lastPruned === null) return 0;
  await beginAt(sql, row.id, end);
  return end - row.firstOffset;
}

/** Everything below goes, with what belongs to it; under the lock of the topic. */
export async function beginAt(sql: Sql, topicId: number, offset: number): Promise<void> {
  for (const table of ['messages', 'receipts']) {
    await sql.all(`DELETE FROM ${table} WHERE topic_id = $1 AND "offset" < $2`, [topicId, offset]);
  }
  await sql.all('UPDATE topics SET first_offset = $2 WHERE topic_id = $1', [topicId, offset]);
}

/** Of entries that are gone, or go now. */
export async function forgetKeys(sql: Sql, topicId: number, below: number): Promise<void> {
  await sql.all(
    `DELETE FROM message_keys WHERE topic_id = $1 AND "offset" < $2 AND created_at < now() - ${keyAge}`,
    [topicId, below],
  );
}

/** The last of the oldest that are older, up to the first that is not. */
const oldestSql = `WITH oldest AS (
    SELECT "offset", created_at FROM messages WHERE topic_id = $1 ORDER BY "offset" LIMIT $3
  ), kept AS (SELECT min("offset") AS "offset" FROM oldest WHERE created_at >= ${timeFrom('$2::int8')})
  SELECT max(oldest."offset") AS "lastPruned" FROM oldest, kept
  WHERE kept."offset" IS NULL OR oldest."offset" < kept."offset"`;

/**
 * In bites, each under the lock of its topic: an edit at the same time waits for a bite, and neither waits for the other
 * in a circle. What was cut short is done again. For archives it is recorded before, so that what is restored meanwhile is
 * met by one of the two, and again behind, so that what was archived meanwhile is not forgotten.
 */
export async function erase(
  readers: Readers,
  { tenant, user, atMs }: Parameters<StoreQueries['erase']>[0],
): Promise<{ messageCount: number }> {
  const record = () => readers.transaction((sql) => recordErasure(sql, { tenant, user, atMs }));
  await record();
  await readers.transaction((sql) => forgetUser(sql, tenant, user));
  const { stretches, messageCount } = await readers.longTransaction((sql) => writtenBy(sql, tenant, user));
  for (const { topicId, first, last } of stretches) {
    for (let from = first; from <= last; from += biteOffsets) {
      await readers.longTransaction((sql) => eraseBite(sql, [topicId, user, from, from + biteOffsets], atMs));
    }
  }
  await record();
  return { messageCount };
}

/** Where the tenant has archives. */
async function recordErasure(
  sql: Sql,
  { tenant, user, atMs }: Parameters<StoreQueries['erase']>[0],
): Promise<void> {
  await lockErasures(sql);
  await sql.all(
    `INSERT INTO erasures (tenant, user_id, erased_at) SELECT $1, $2, ${timeFrom('$3::int8')}
     WHERE EXISTS (SELECT 1 FROM archives JOIN topics USING (topic_id) WHERE tenant = $1)`,
    [tenant, user, atMs],
  );
}

/** Until the end of the transaction nobody erases, or restores, unnoticed by the other. */
export async function lockErasures(sql: Sql): Promise<void> {
  await sql.all('SELECT pg_advisory_xact_lock(hashtext($1))', [erasuresLock]);
}

/** Of one topic: where the user wrote. */
interface Stretch {
  topicId: number;
  first: number;
  last: number;
}

async function writtenBy(
  sql: Sql,
  tenant: Tenant,
  user: UserId,
): Promise<{ stretches: Stretch[]; messageCount: number }> {
  const mine = 'FROM messages JOIN topics USING (topic_id) WHERE sender = $1 AND tenant = $2';
  const stretches = await sql.all<Stretch>(
    `SELECT topic_id AS "topicId", min("offset") AS first, max("offset") AS last ${mine} GROUP BY topic_id`,
    [user, tenant],
  );
  // One message in two inboxes is one.
  const [{ messageCount }] = (await sql.all(
    `SELECT count(DISTINCT message_id) AS "messageCount" ${mine} AND kind = 'message' AND deleted_at IS NULL`,
    [user, tenant],
  )) as [{ messageCount: number }];
  return { stretches, messageCount };
}

async function eraseBite(
  sql: Sql,
  bite: [topicId: number, user: UserId, from: number, until: number],
  atMs: number,
): Promise<void> {
  const mine = 'topic_id = $1 AND sender = $2 AND "offset" >= $3 AND "offset" < $4';
  await sql.all('SELECT 1 FROM topics WHERE topic_id = $1 FOR NO KEY UPDATE', [bite[0]]);
  await sql.all(
    `UPDATE messages SET payload = '\\xc0' WHERE topic_id = $1 AND kind = 'edited' AND target_id IN (
       SELECT message_id FROM messages WHERE ${mine} AND kind = 'message')`,
    bite,
  );
  await sql.all(
    `UPDATE messages SET payload = '\\xc0', event = NULL, words = NULL,
       deleted_at = CASE kind WHEN 'message' THEN coalesce(deleted_at, ${timeFrom('$5::int8')}) END WHERE ${mine}`,
    [...bite, atMs],
  );
  await sql.all(`DELETE FROM message_keys WHERE ${mine}`, bite);
}

export async function statsOf(
  sql: Sql,
  { tenant, nowMs, days, limit }: Parameters<StoreQueries['stats']>[0],
): Promise<StoreStats> {
  const ofTenant = `FROM messages JOIN topics USING (topic_id) WHERE tenant = $1 AND kind = 'message'`;
  const [counts] = (await sql.all<Omit<StoreStats, 'perDay' | 'topTopics'>>(
    `SELECT (SELECT count(*) FROM topics WHERE tenant = $1) AS "topicCount", count(*) AS "messageCount",
       pg_database_size(current_database()) AS "storeBytes" ${ofTenant}`,
    [tenant],
  )) as [Omit<StoreStats, 'perDay' | 'topTopics'>];
  return {
    ...counts,
    perDay: await sql.all<StoreStats['perDay'][number]>(
      `SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, name AS topic, count(*) AS "messageCount"
       ${ofTenant} AND created_at >= ${timeFrom('$2::int8')}
       GROUP BY 1, 2 ORDER BY 1 DESC, 3 DESC, 2 LIMIT $3`,
      [tenant, nowMs - days * dayMs, limit],
    ),
    topTopics: await sql.all<StoreStats['topTopics'][number]>(
      `SELECT name AS topic, count(*) AS "messageCount" ${ofTenant} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $2`,
      [tenant, limit],
    ),
  };
}

/** Fails where a batch would: on a lock of the messages, on a server that only reads. */
export async function probe(sql: Sql): Promise<void> {
  await sql.all('UPDATE store SET epoch = epoch', []);
  await sql.all('SELECT 1 FROM messages LIMIT 1', []);
}
