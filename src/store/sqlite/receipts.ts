/**
 * High-water marks of what users got and read, with their times.
 * Thread: store. Called by sqlite-history-store.ts, `mark` inside a transaction.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ReceiptMark, ReceiptTimes, StoreQueries } from '../history-store.ts';
import type { TopicRows } from './topic-rows.ts';

export class Receipts {
  readonly #topics: TopicRows;
  readonly #insert: StatementSync;
  readonly #select: StatementSync;

  constructor(database: DatabaseSync, topics: TopicRows) {
    this.#topics = topics;
    this.#insert = database.prepare(
      `INSERT INTO receipts (topic_id, user_id, kind, "offset", created_at)
       SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
         SELECT 1 FROM receipts WHERE topic_id = ?1 AND user_id = ?2 AND kind = ?3 AND "offset" >= ?4)`,
    );
    // The first mark that reached the offset; what was read was delivered no later.
    this.#select = database.prepare(
      `SELECT user_id AS user, min(created_at) AS deliveredAtMs,
         min(created_at) FILTER (WHERE kind = 'read') AS readAtMs
       FROM receipts WHERE topic_id = ? AND "offset" >= ? GROUP BY user_id ORDER BY user_id LIMIT ?`,
    );
  }

  /** A topic that nobody wrote to has nothing to be marked. */
  mark(marks: readonly ReceiptMark[]): void {
    for (const { topic, user, kind, offset, atMs } of marks) {
      const row = this.#topics.find(topic);
      if (row !== undefined) this.#insert.run(row.id, user, kind, offset, atMs);
    }
  }

  of({ topic, offset, limit }: Parameters<StoreQueries['receipts']>[0]): ReceiptTimes[] {
    const row = this.#topics.find(topic);
    if (row === undefined) return [];
    const rows = this.#select.all(row.id, offset, limit) as unknown as ReceiptRow[];
    return rows.map(({ user, deliveredAtMs, readAtMs }) => ({
      ...{ user, deliveredAtMs },
      readAtMs: readAtMs ?? undefined,
    }));
  }
}

type ReceiptRow = Omit<ReceiptTimes, 'readAtMs'> & { readAtMs: number | null };
