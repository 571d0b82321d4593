/**
 * What an operator asks of the log: retention, erasure, statistics.
 * Thread: store. Called by sqlite-history-store.ts, `prune` and `erase` inside a transaction; `beginAt` by archives.ts, too.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { type TopicKey, type TopicName, tenantOfKey, topicKey, topicOfKey } from '#proto/names.ts';
import type { HistoryStore, StoreQueries, StoreStats } from '../history-store.ts';
import type { TopicRow, TopicRows } from './topic-rows.ts';

const dayMs = 86_400_000;

export class Upkeep {
  readonly #database: DatabaseSync;
  readonly #topics: TopicRows;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, topics: TopicRows) {
    this.#database = database;
    this.#topics = topics;
  }

  topics({ after, limit }: Parameters<HistoryStore['topics']>[0]): TopicKey[] {
    const [tenant, name] = after === undefined ? ['', ''] : [tenantOfKey(after), topicOfKey(after)];
    const rows = this.#all<{ tenant: never; name: never }>(
      'SELECT tenant, name FROM topics WHERE (tenant, name) > (?, ?) ORDER BY tenant, name LIMIT ?',
      ...[tenant, name, limit],
    );
    return rows.map((row) => topicKey(row.tenant, row.name));
  }

  prune({ topic, beforeMs, limit }: Parameters<HistoryStore['prune']>[0]): number {
    const row = this.#topics.find(topic);
    if (row === undefined) return 0;
    const oldest = this.#all<{ offset: number; createdAt: number }>(
      'SELECT "offset", created_at AS createdAt FROM messages WHERE topic_id = ? ORDER BY "offset" LIMIT ?',
      ...[row.id, limit],
    );
    const keptAt = oldest.findIndex(({ createdAt }) => createdAt >= beforeMs);
    const count = keptAt < 0 ? oldest.length : keptAt;
    if (count > 0) this.beginAt(row, (oldest[count - 1] as { offset: number }).offset + 1);
    return count;
  }

  /** Everything below goes, with what belongs to it. */
  beginAt(row: TopicRow, offset: number): void {
    const { id } = row;
    this.#run(
      'DELETE FROM message_words WHERE rowid >= (? << 40) AND rowid < ((? << 40) | ?)',
      id,
      id,
      offset,
    );
    this.#run('DELETE FROM messages WHERE topic_id = ? AND "offset" < ?', id, offset);
    this.#run('DELETE FROM receipts WHERE topic_id = ? AND "offset" < ?', id, offset);
    row.firstOffset = offset;
    this.#topics.save(row);
  }

  erase({ tenant, user, atMs }: Parameters<StoreQueries['erase']>[0]): { messageCount: number } {
    const mine = 'sender = ? AND topic_id IN (SELECT topic_id FROM topics WHERE tenant = ?)';
    this.#run(
      `DELETE FROM message_words WHERE rowid IN (SELECT (topic_id << 40) | "offset" FROM messages WHERE ${mine})`,
      ...[user, tenant],
    );
    const [{ messageCount }] = this.#all<{ messageCount: number }>(
      `SELECT count(DISTINCT message_id) AS messageCount FROM messages
       WHERE ${mine} AND kind = 'message' AND deleted_at IS NULL`,
      ...[user, tenant],
    ) as [{ messageCount: number }];
    this.#run(
      `UPDATE messages SET payload = x'c0' WHERE kind = 'edited' AND (topic_id, target_id) IN (
         SELECT topic_id, message_id FROM messages WHERE ${mine} AND kind = 'message')`,
      ...[user, tenant],
    );
    this.#run(
      `UPDATE messages SET payload = x'c0', event = NULL, key = NULL,
         deleted_at = CASE kind WHEN 'message' THEN coalesce(deleted_at, ?) END WHERE ${mine}`,
      ...[atMs, user, tenant],
    );
    this.#run(
      `INSERT INTO erasures (tenant, user_id, erased_at) SELECT ?1, ?2, ?3
       WHERE EXISTS (SELECT 1 FROM archives JOIN topics USING (topic_id) WHERE tenant = ?1)`,
      ...[tenant, user, atMs],
    );
    return { messageCount };
  }

  stats({ tenant, nowMs, days, limit }: Parameters<StoreQueries['stats']>[0]): StoreStats {
    const sinceMs = nowMs - days * dayMs;
    const ofTenant = `FROM messages JOIN topics USING (topic_id) WHERE tenant = ? AND kind = 'message'`;
    const [counts] = this.#all<Pick<StoreStats, 'topicCount' | 'messageCount'>>(
      `SELECT (SELECT count(*) FROM topics WHERE tenant = ?) AS topicCount, count(*) AS messageCount ${ofTenant}`,
      ...[tenant, tenant],
    ) as [Pick<StoreStats, 'topicCount' | 'messageCount'>];
    const [{ storeBytes }] = this.#all<{ storeBytes: number }>(
      'SELECT page_count * page_size AS storeBytes FROM pragma_page_count(), pragma_page_size()',
    ) as [{ storeBytes: number }];
    return {
      ...{ topicCount: counts.topicCount, messageCount: counts.messageCount, storeBytes },
      perDay: this.#all<{ day: string; topic: TopicName; messageCount: number }>(
        `SELECT date(created_at / 1000, 'unixepoch') AS day, name AS topic, count(*) AS messageCount ${ofTenant}
           AND created_at >= ? GROUP BY day, name ORDER BY day DESC, messageCount DESC, name LIMIT ?`,
        ...[tenant, sinceMs, limit],
      ),
      topTopics: this.#all<{ topic: TopicName; messageCount: number }>(
        `SELECT name AS topic, count(*) AS messageCount ${ofTenant}
         GROUP BY name ORDER BY messageCount DESC, name LIMIT ?`,
        ...[tenant, limit],
      ),
    };
  }

  #all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepared(sql)
      .all(...values)
      .map((row) => ({ ...row })) as Row[];
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepared(sql).run(...values);
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}
