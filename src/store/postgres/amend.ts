/**
 * What an edit or a deletion does to its message, in one topic or in both inboxes.
 * Thread: store. Called by append.ts inside its transaction, once per such entry, in order.
 */
import type { AppendEntry, AppendResult } from '../history-store.ts';
import { searchWords } from './search-words.ts';
import type { Sql } from './sql.ts';
import type { TopicRow } from './topic-rows.ts';
import { isUuid, timeFrom } from './values.ts';

/** msgpack. */
const nil = Buffer.from([0xc0]);

interface TargetRow {
  topicId: number;
  sender: string;
  kind: string;
  isDeleted: boolean;
}

/** Changes the message itself; undefined when that was done. The first of `topics` says whether it may be. */
export async function amend(
  sql: Sql,
  entry: AppendEntry,
  topics: TopicRow[],
  searchLanguage: string,
): Promise<AppendResult | undefined> {
  const { target, from, mayAmendAny } = entry;
  if (target === undefined || !isUuid(target)) return { state: 'missing' };
  const topicIds = topics.map(({ id }) => id);
  const rows = await sql.all<TargetRow>(
    `SELECT topic_id AS "topicId", sender, kind, deleted_at IS NOT NULL AS "isDeleted" FROM messages
     WHERE message_id = $1 AND topic_id = ANY($2::int8[]) ORDER BY topic_id FOR NO KEY UPDATE`,
    [target, topicIds],
  );
  const found = rows.find(({ topicId }) => topicId === topicIds[0]);
  if (found === undefined || found.kind !== 'message' || found.isDeleted) return { state: 'missing' };
  if (found.sender !== from && !mayAmendAny) return { state: 'forbidden' };
  await (entry.kind === 'edited' ? edit(sql, entry, topicIds, searchLanguage) : remove(sql, entry, topicIds));
  return undefined;
}

async function edit(
  sql: Sql,
  { target, payload, text, timestampMs }: AppendEntry,
  topicIds: number[],
  searchLanguage: string,
): Promise<void> {
  await sql.all(
    `UPDATE messages SET payload = $3, edited_at = ${timeFrom('$4::int8')},
       words = to_tsvector($5::text::regconfig, $6::text)
     WHERE message_id = $1 AND topic_id = ANY($2::int8[])`,
    [target, topicIds, payload, timestampMs, searchLanguage, text === undefined ? null : searchWords(text)],
  );
}

async function remove(sql: Sql, { target, timestampMs }: AppendEntry, topicIds: number[]): Promise<void> {
  await sql.all(
    `UPDATE messages SET payload = $3, words = NULL, deleted_at = ${timeFrom('$4::int8')}
     WHERE message_id = $1 AND topic_id = ANY($2::int8[])`,
    [target, topicIds, nil, timestampMs],
  );
  await sql.all('UPDATE messages SET payload = $3 WHERE target_id = $1 AND topic_id = ANY($2::int8[])', [
    ...[target, topicIds, nil],
  ]);
}
