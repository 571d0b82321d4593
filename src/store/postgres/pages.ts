/**
 * Stretches of a topic, and single messages by their id.
 * Thread: store. Called by postgres-history-store.ts.
 */
import { type Tenant, type TopicName, tenantOfKey, topicKey, topicOfKey } from '#proto/names.ts';
import type { FoundMessage, Page, PageRequest, StoreQueries } from '../history-store.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';
import type { Sql } from './sql.ts';
import { isUuid } from './values.ts';

interface TopicBounds {
  firstOffset: number;
  lastOffset: number;
}

/** Without a message, the columns of one are null. */
type PageRow = TopicBounds & (MessageRow | { offset: null });

/** One statement: the messages and the bounds of their topic are of one moment. */
export async function pageOf(sql: Sql, request: PageRequest): Promise<Page> {
  const { topic, after, before, peer, limit } = request;
  const rows = await sql.all<PageRow>(pageSql(request), [
    ...[tenantOfKey(topic), topicOfKey(topic), after ?? 0, before ?? Number.MAX_SAFE_INTEGER, limit + 1],
    ...(peer === undefined ? [] : [peer]),
  ]);
  const bounds = rows[0] ?? { firstOffset: 1, lastOffset: 0 };
  const found = rows.filter((row) => row.offset !== null);
  const messages = found.slice(0, limit).map(messageOf);
  if (after === undefined) messages.reverse();
  const { firstOffset, lastOffset } = bounds;
  return { messages, hasMore: found.length > limit, firstOffset, lastOffset };
}

export async function findMessage(
  sql: Sql,
  { tenant, messageId }: Parameters<StoreQueries['find']>[0],
): Promise<FoundMessage[]> {
  if (!isUuid(messageId)) return [];
  const rows = await sql.all<MessageRow & { topicName: TopicName }>(
    `SELECT t.name AS "topicName", ${messageColumns} FROM messages AS m JOIN topics AS t USING (topic_id)
     WHERE m.message_id = $1 AND t.tenant = $2 AND m.kind = 'message' ORDER BY t.topic_id`,
    [messageId, tenant],
  );
  return rows.map((row) => foundIn(tenant, row));
}

function pageSql({ view, peer, after }: PageRequest): string {
  const order = `ORDER BY "offset" ${after === undefined ? 'DESC' : 'ASC'}`;
  return `SELECT t.first_offset AS "firstOffset", t.last_offset AS "lastOffset", page.*
    FROM topics AS t LEFT JOIN LATERAL (
      SELECT ${messageColumns} FROM messages AS m
      WHERE m.topic_id = t.topic_id AND m."offset" > $3 AND m."offset" < $4
        ${peer === undefined ? '' : 'AND m.peer = $6'} ${view === 'messages' ? "AND m.kind = 'message'" : ''}
      ${order} LIMIT $5
    ) AS page ON true
    WHERE t.tenant = $1 AND t.name = $2 ${order}`;
}

function foundIn(tenant: Tenant, row: MessageRow & { topicName: TopicName }): FoundMessage {
  return { topic: topicKey(tenant, row.topicName), message: messageOf(row) };
}
