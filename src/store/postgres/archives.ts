/**
 * Which stretch of which topic is in which file, and the ways there and back.
 * Thread: store, or the process of `npm run archive`. Called by postgres-history-store.ts, what writes inside a transaction
 * of the connection that has the lead.
 */
import {
  type Tenant,
  type TopicKey,
  type TopicName,
  tenantOfKey,
  topicKey,
  topicOfKey,
} from '#proto/names.ts';
import { ArchiveEraser } from '../archive-eraser.ts';
import type {
  Archive,
  ArchiveIndex,
  ArchiveLead,
  Erasure,
  RestoredEntry,
  RestoreResult,
  TopicAge,
} from '../archive-index.ts';
import { fingerprintOf } from '../archive-lines.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';
import { searchWords } from './search-words.ts';
import type { Sql } from './sql.ts';
import { beginAt, forgetKeys, lockErasures } from './upkeep.ts';
import { msOf, timeFrom, writtenText } from './values.ts';

type Asked<Name extends keyof ArchiveLead> = Parameters<ArchiveLead[Name]>[0];
type Named<Row> = Row & { tenant: Tenant; name: TopicName };

// ---- reading

export async function listArchives(
  sql: Sql,
  { topic, tenant, endedBeforeMs, after, limit }: Parameters<ArchiveIndex['archives']>[0],
): Promise<Archive[]> {
  const values: unknown[] = [];
  const put = (value: unknown) => `$${values.push(value)}`;
  const conditions = ['true'];
  if (topic !== undefined)
    conditions.push(`tenant = ${put(tenantOfKey(topic))} AND name = ${put(topicOfKey(topic))}`);
  if (tenant !== undefined) conditions.push(`tenant = ${put(tenant)}`);
  if (endedBeforeMs !== undefined) conditions.push(`to_time < ${timeFrom(`${put(endedBeforeMs)}::int8`)}`);
  if (after !== undefined) {
    const place = [tenantOfKey(after.topic), topicOfKey(after.topic), after.firstOffset].map(put).join(', ');
    conditions.push(`(tenant, name, a.first_offset) > (${place})`);
  }
  const rows = await sql.all<Named<Omit<Archive, 'topic'>>>(
    `SELECT tenant, name, a.first_offset AS "firstOffset", a.last_offset AS "lastOffset",
       ${msOf('from_time')} AS "fromMs", ${msOf('to_time')} AS "toMs", message_count AS "messageCount", bytes, sha256, file
     FROM archives AS a JOIN topics USING (topic_id) WHERE ${conditions.join(' AND ')}
     ORDER BY tenant, name, a.first_offset LIMIT ${put(limit)}`,
    values,
  );
  return rows.map(({ tenant: of, name, ...archive }) => ({ topic: topicKey(of, name), ...archive }));
}

export async function topicAgesOf(
  sql: Sql,
  { after, limit }: Parameters<ArchiveIndex['topicAges']>[0],
): Promise<TopicAge[]> {
  const [tenant, name] = after === undefined ? ['', ''] : [tenantOfKey(after), topicOfKey(after)];
  const rows = await sql.all<Named<{ oldestMs: number | null; heldUntilMs: number | null }>>(
    `SELECT tenant, name, ${msOf('held_until')} AS "heldUntilMs", ${msOf('m.created_at')} AS "oldestMs"
     FROM topics AS t LEFT JOIN LATERAL (
       SELECT created_at FROM messages WHERE topic_id = t.topic_id AND "offset" = t.first_offset
     ) AS m ON true
     WHERE (tenant, name) > ($1, $2) ORDER BY tenant, name LIMIT $3`,
    [tenant, name, limit],
  );
  return rows.map((row) => ({
    topic: topicKey(row.tenant, row.name),
    oldestMs: row.oldestMs ?? undefined,
    heldUntilMs: row.heldUntilMs ?? undefined,
  }));
}

export function erasuresOf(sql: Sql): Promise<Erasure[]> {
  return sql.all<Erasure>(
    `SELECT erasure_id AS id, tenant, user_id AS "user", ${msOf('erased_at')} AS "atMs" FROM erasures
     ORDER BY erasure_id`,
  );
}

// ---- writing

export async function moveToArchive(sql: Sql, { archive, fingerprint }: Asked<'move'>): Promise<boolean> {
  const { firstOffset, lastOffset } = archive;
  const topic = await lockTopic(sql, archive.topic);
  if (topic?.firstOffset !== firstOffset) return false;
  const rows = await sql.all<MessageRow>(
    `SELECT ${messageColumns} FROM messages AS m WHERE topic_id = $1 AND "offset" <= $2 ORDER BY "offset"`,
    [topic.id, lastOffset],
  );
  if (fingerprintOf(rows.map(messageOf)) !== fingerprint) return false;
  await forgetKeys(sql, topic.id, lastOffset + 1);
  await beginAt(sql, topic.id, lastOffset + 1);
  const { fromMs, toMs, messageCount, bytes, sha256, file } = archive;
  await sql.all(
    `INSERT INTO archives (topic_id, first_offset, last_offset, from_time, to_time, message_count, bytes, sha256, file)
     VALUES ($1, $2, $3, ${timeFrom('$4::int8')}, ${timeFrom('$5::int8')}, $6, $7, $8, $9)`,
    [topic.id, firstOffset, lastOffset, fromMs, toMs, messageCount, bytes, sha256, file],
  );
  return true;
}

export async function replaceArchive(sql: Sql, { archive, by }: Asked<'replace'>): Promise<boolean> {
  const rows = await sql.all(
    `UPDATE archives SET file = $5, bytes = $6, sha256 = $7 WHERE ${isArchive} RETURNING 1`,
    [...keyOf(archive), by.file, by.bytes, by.sha256],
  );
  return rows.length > 0;
}

export async function dropArchive(sql: Sql, archive: Archive): Promise<void> {
  await sql.all(`DELETE FROM archives WHERE ${isArchive}`, keyOf(archive));
}

export async function restoreArchive(
  sql: Sql,
  { archive, entries, heldUntilMs }: Asked<'restore'>,
  searchLanguage: string,
): Promise<RestoreResult> {
  await lockErasures(sql);
  const topic = await lockTopic(sql, archive.topic);
  const known = await sql.all(`SELECT 1 FROM archives WHERE ${isArchive}`, keyOf(archive));
  if (topic === undefined || known.length === 0) return 'gone';
  if (topic.firstOffset !== archive.lastOffset + 1) return 'apart';
  const tenant = tenantOfKey(archive.topic);
  const erasures = await erasuresOf(sql);
  const eraser = new ArchiveEraser(erasures.filter((erasure) => erasure.tenant === tenant));
  const restored = entries.map((entry) => {
    const erased = eraser.erased(entry);
    return erased === entry ? entry : { ...erased, text: undefined };
  });
  await sql.all(insertSql, [topic.id, searchLanguage, ...columnsOf(restored)]);
  await sql.all(
    `UPDATE topics SET first_offset = $2, held_until = ${timeFrom('$3::int8')} WHERE topic_id = $1`,
    [topic.id, archive.firstOffset, heldUntilMs],
  );
  await dropArchive(sql, archive);
  return 'restored';
}

export async function blankEdits(sql: Sql, { topic, targets }: Asked<'blankEdits'>): Promise<void> {
  const row = await lockTopic(sql, topic);
  if (row === undefined) return;
  await sql.all(
    `UPDATE messages SET payload = '\\xc0' WHERE topic_id = $1 AND target_id = ANY($2::uuid[]) AND kind = 'edited'`,
    [row.id, targets],
  );
}

export async function settleErasure(sql: Sql, { id }: Erasure): Promise<void> {
  await sql.all('DELETE FROM erasures WHERE erasure_id = $1', [id]);
}

/** Until the end of the transaction: nobody appends, edits or prunes. */
async function lockTopic(
  sql: Sql,
  topic: TopicKey,
): Promise<{ id: number; firstOffset: number } | undefined> {
  const [row] = await sql.all<{ id: number; firstOffset: number }>(
    `SELECT topic_id AS id, first_offset AS "firstOffset" FROM topics WHERE tenant = $1 AND name = $2
     FOR NO KEY UPDATE`,
    [tenantOfKey(topic), topicOfKey(topic)],
  );
  return row;
}

const isArchive = `topic_id = (SELECT topic_id FROM topics WHERE tenant = $1 AND name = $2) AND first_offset = $3::int8
  AND sha256 = $4`;

function keyOf({ topic, firstOffset, sha256 }: Archive): unknown[] {
  return [tenantOfKey(topic), topicOfKey(topic), firstOffset, sha256];
}

/** As `unnest` takes them, column by column. */
function columnsOf(entries: readonly RestoredEntry[]): unknown[][] {
  return [
    entries.map(({ offset }) => offset),
    entries.map(({ kind }) => kind),
    entries.map(({ messageId }) => messageId),
    entries.map(({ target }) => target),
    entries.map(({ from }) => from),
    entries.map(({ peer }) => peer),
    entries.map(({ event }) => (event === undefined ? undefined : writtenText(event))),
    entries.map(({ priority }) => priority),
    entries.map(({ payload }) => payload),
    entries.map(({ timestampMs }) => timestampMs),
    entries.map(({ editedAtMs }) => editedAtMs),
    entries.map(({ deletedAtMs }) => deletedAtMs),
    entries.map(({ kind, text }) =>
      kind === 'message' && text !== undefined ? searchWords(text) : undefined,
    ),
  ];
}

const insertSql = `INSERT INTO messages (topic_id, "offset", kind, message_id, target_id, sender, peer, event, priority,
    payload, created_at, edited_at, deleted_at, words)
  SELECT $1, "offset", kind, message_id, target_id, sender, peer, event, priority, payload, ${timeFrom('created_ms')},
    ${timeFrom('edited_ms')}, ${timeFrom('deleted_ms')}, to_tsvector($2::text::regconfig, words)
  FROM unnest($3::int8[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[],
    $11::bytea[], $12::int8[], $13::int8[], $14::int8[], $15::text[])
    AS given ("offset", kind, message_id, target_id, sender, peer, event, priority, payload, created_ms, edited_ms,
      deleted_ms, words)`;
