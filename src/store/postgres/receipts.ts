/**
 * High-water marks of what users got and read, with their times.
 * Thread: store. Called by postgres-history-store.ts.
 */
import { tenantOfKey, topicOfKey } from '#proto/names.ts';
import type { ReceiptMark, ReceiptTimes, StoreQueries } from '../history-store.ts';
import type { Sql } from './sql.ts';
import { msOf, timeFrom } from './values.ts';

/** One statement. A topic that nobody wrote to has nothing to be marked. */
export async function markReceipts(sql: Sql, marks: readonly ReceiptMark[]): Promise<void> {
  const rising = risingOnly(marks);
  if (rising.length === 0) return;
  await sql.all(
    `INSERT INTO receipts (topic_id, user_id, kind, "offset", created_at)
     SELECT t.topic_id, given.user_id, given.kind, given."offset", ${timeFrom('given.created_ms')}
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int8[], $6::int8[])
         AS given (tenant, name, user_id, kind, "offset", created_ms)
       JOIN topics AS t USING (tenant, name)
     WHERE NOT EXISTS (SELECT 1 FROM receipts AS known WHERE known.topic_id = t.topic_id
       AND known.user_id = given.user_id AND known.kind = given.kind AND known."offset" >= given."offset")
     ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING`,
    [
      ...[rising.map(({ topic }) => tenantOfKey(topic)), rising.map(({ topic }) => topicOfKey(topic))],
      ...[rising.map(({ user }) => user), rising.map(({ kind }) => kind)],
      ...[rising.map(({ offset }) => offset), rising.map(({ atMs }) => atMs)],
    ],
  );
}

export async function receiptsOf(
  sql: Sql,
  { topic, offset, limit }: Parameters<StoreQueries['receipts']>[0],
): Promise<ReceiptTimes[]> {
  // The first mark that reached the offset; what was read was delivered no later.
  const rows = await sql.all<ReceiptRow>(
    `SELECT r.user_id AS user, ${msOf('min(r.created_at)')} AS "deliveredAtMs",
       ${msOf("min(r.created_at) FILTER (WHERE r.kind = 'read')")} AS "readAtMs"
     FROM receipts AS r JOIN topics AS t USING (topic_id)
     WHERE t.tenant = $1 AND t.name = $2 AND r."offset" >= $3 GROUP BY r.user_id ORDER BY r.user_id LIMIT $4`,
    [tenantOfKey(topic), topicOfKey(topic), offset, limit],
  );
  return rows.map(({ user, deliveredAtMs, readAtMs }) => ({
    user,
    deliveredAtMs,
    readAtMs: readAtMs ?? undefined,
  }));
}

type ReceiptRow = Omit<ReceiptTimes, 'readAtMs'> & { readAtMs: number | null };

/** The statement does not see its own rows: what falls within one call is left out here. */
function risingOnly(marks: readonly ReceiptMark[]): ReceiptMark[] {
  const highest = new Map<string, number>();
  return marks.filter(({ topic, user, kind, offset }) => {
    const name = `${topic} ${user} ${kind}`;
    if (offset <= (highest.get(name) ?? -1)) return false;
    highest.set(name, offset);
    return true;
  });
}
