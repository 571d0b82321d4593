/**
 * The rows of `topics` that are in use, as committed or as the running transaction has them.
 * Thread: store. Owned by sqlite-history-store.ts; emptied when a transaction fails.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type TopicKey, tenantOfKey, topicOfKey } from '#proto/names.ts';

/** Topics whose row is remembered; beyond, the oldest is asked for again. */
const rowsCachedMax = 50_000;

export interface TopicRow {
  id: number;
  firstOffset: number;
  lastOffset: number;
}

export class TopicRows {
  readonly #rows = new Map<TopicKey, TopicRow>();
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;

  constructor(database: DatabaseSync) {
    this.#select = database.prepare(
      `SELECT topic_id AS id, first_offset AS firstOffset, last_offset AS lastOffset
       FROM topics WHERE tenant = ? AND name = ?`,
    );
    this.#insert = database.prepare(
      'INSERT INTO topics (tenant, name, first_offset, last_offset) VALUES (?, ?, 1, 0)',
    );
    this.#update = database.prepare('UPDATE topics SET first_offset = ?, last_offset = ? WHERE topic_id = ?');
  }

  find(topic: TopicKey): TopicRow | undefined {
    const cached = this.#rows.get(topic);
    if (cached !== undefined) return cached;
    const row = this.#select.get(tenantOfKey(topic), topicOfKey(topic)) as TopicRow | undefined;
    if (row !== undefined) this.#rows.set(topic, row);
    return row;
  }

  open(topic: TopicKey): TopicRow {
    return this.find(topic) ?? this.#make(topic);
  }

  save({ id, firstOffset, lastOffset }: TopicRow): void {
    this.#update.run(firstOffset, lastOffset, id);
  }

  /** A transaction failed: what is remembered may be of it. */
  forget(): void {
    this.#rows.clear();
  }

  bound(): void {
    for (const topic of this.#rows.keys()) {
      if (this.#rows.size <= rowsCachedMax) return;
      this.#rows.delete(topic);
    }
  }

  #make(topic: TopicKey): TopicRow {
    const { lastInsertRowid } = this.#insert.run(tenantOfKey(topic), topicOfKey(topic));
    const row = { id: Number(lastInsertRowid), firstOffset: 1, lastOffset: 0 };
    this.#rows.set(topic, row);
    return row;
  }
}
