/**
 * Stretches of a topic, and single messages by their id.
 * Thread: store. Called by sqlite-history-store.ts.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Tenant, type TopicName, topicKey } from '#proto/names.ts';
import type { FoundMessage, Page, PageRequest, StoreQueries } from '../history-store.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';
import type { TopicRows } from './topic-rows.ts';

export class Pages {
  readonly #topics: TopicRows;
  readonly #find: StatementSync;
  readonly #database: DatabaseSync;
  /** By what they ask for. */
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, topics: TopicRows) {
    this.#database = database;
    this.#topics = topics;
    this.#find = database.prepare(
      `SELECT t.name AS topicName, ${messageColumns} FROM messages AS m JOIN topics AS t USING (topic_id)
       WHERE m.message_id = ? AND t.tenant = ? AND m.kind = 'message' ORDER BY t.topic_id`,
    );
  }

  page({ topic, view, peer, after, before, limit }: PageRequest): Page {
    const row = this.#topics.find(topic);
    if (row === undefined) return { messages: [], hasMore: false, firstOffset: 1, lastOffset: 0 };
    const { id, firstOffset, lastOffset } = row;
    const isForward = after !== undefined;
    const rows = this.#statement(view, peer !== undefined, isForward).all(
      ...[id, after ?? 0, before ?? Number.MAX_SAFE_INTEGER],
      ...(peer === undefined ? [] : [peer]),
      limit + 1,
    ) as unknown as MessageRow[];
    const messages = rows.slice(0, limit).map(messageOf);
    if (!isForward) messages.reverse();
    return { messages, hasMore: rows.length > limit, firstOffset, lastOffset };
  }

  find({ tenant, messageId }: Parameters<StoreQueries['find']>[0]): FoundMessage[] {
    const rows = this.#find.all(messageId, tenant) as unknown as (MessageRow & { topicName: TopicName })[];
    return rows.map((row) => foundIn(tenant, row));
  }

  #statement(view: PageRequest['view'], hasPeer: boolean, isForward: boolean): StatementSync {
    const name = `${view} ${hasPeer} ${isForward}`;
    let statement = this.#statements.get(name);
    if (statement === undefined) {
      statement = this.#database.prepare(
        `SELECT ${messageColumns} FROM messages AS m
         WHERE m.topic_id = ? AND m."offset" > ? AND m."offset" < ?
           ${hasPeer ? 'AND m.peer = ?' : ''} ${view === 'messages' ? "AND m.kind = 'message'" : ''}
         ORDER BY m."offset" ${isForward ? '' : 'DESC'} LIMIT ?`,
      );
      this.#statements.set(name, statement);
    }
    return statement;
  }
}

function foundIn(tenant: Tenant, row: MessageRow & { topicName: TopicName }): FoundMessage {
  return { topic: topicKey(tenant, row.topicName), message: messageOf(row) };
}
