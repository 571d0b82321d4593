/**
 * History in SQLite: the embedded store, with nothing to install.
 * Thread: store, and only there: its calls are synchronous and wait for the disk.
 */
import { randomBytes } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Priority } from '#proto/data.ts';
import { type MessageId, type TopicKey, tenantOfKey, topicOfKey, type UserId } from '#proto/names.ts';
import {
  type AppendEntry,
  type AppendResult,
  type HistoryStore,
  type Page,
  type PageRequest,
  type StoredMessage,
  StoreUnavailableError,
} from '../history-store.ts';
import { type OpenedDatabase, openDatabase } from './open-database.ts';

/** Topics whose row is remembered; beyond, the oldest is asked for again. */
const topicsCachedMax = 50_000;

interface TopicRow {
  id: number;
  lastOffset: number;
}

export class SqliteHistoryStore implements HistoryStore {
  readonly epoch: string;
  readonly #opened: OpenedDatabase;
  readonly #statements: ReturnType<typeof prepareStatements>;
  /** As committed; emptied when a transaction fails. */
  readonly #topics = new Map<TopicKey, TopicRow>();

  /** Opens DATA_DIR's database, made when missing. Throws a sentence when it cannot be used. */
  constructor(dataDir: string) {
    this.#opened = openDatabase(dataDir);
    this.#statements = prepareStatements(this.#opened.database);
    this.epoch = epochOf(this.#opened.database);
  }

  async append(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
    const { begin, commit } = this.#statements;
    try {
      begin.run();
      const touched = new Set<TopicKey>();
      const results = entries.map((entry) => this.#appendOne(entry, touched));
      for (const topic of touched) this.#saveLastOffset(topic);
      commit.run();
      this.#boundCache();
      return results;
    } catch (error) {
      this.#undo();
      throw new StoreUnavailableError('SQLite refused a batch', { cause: error });
    }
  }

  async lastOffset(topic: TopicKey): Promise<number> {
    return this.#topicRow(topic)?.lastOffset ?? 0;
  }

  async page({ topic, after, before, limit }: PageRequest): Promise<Page> {
    const row = this.#topicRow(topic);
    if (row === undefined) return { messages: [], hasMore: false };
    const { pageAfter, pageBefore } = this.#statements;
    const end = before ?? Number.MAX_SAFE_INTEGER;
    const rows =
      after === undefined
        ? pageBefore.all(row.id, end, limit + 1)
        : pageAfter.all(row.id, after, end, limit + 1);
    const messages = rows.slice(0, limit).map(messageOf);
    if (after === undefined) messages.reverse();
    return { messages, hasMore: rows.length > limit };
  }

  async close(): Promise<void> {
    this.#opened.close();
  }

  #appendOne(entry: AppendEntry, touched: Set<TopicKey>): AppendResult {
    const { byId, insertMessage } = this.#statements;
    const known = byId.get(entry.messageId) as { offset: number } | undefined;
    if (known !== undefined) return { state: 'stored', offset: known.offset };
    const topic = this.#topicRow(entry.topic) ?? this.#insertTopic(entry.topic);
    const repeated = this.#underSameKey(topic, entry);
    if (repeated !== undefined) return repeated;
    topic.lastOffset++;
    touched.add(entry.topic);
    const { messageId, from, event, priority, payload, timestampMs, key, digest } = entry;
    insertMessage.run(
      ...[topic.id, topic.lastOffset, messageId, from, event ?? null, priority ?? null],
      ...[payload, timestampMs, key ?? null, digest],
    );
    return { state: 'stored', offset: topic.lastOffset };
  }

  #underSameKey({ id }: TopicRow, { from, key, digest }: AppendEntry): AppendResult | undefined {
    if (key === undefined) return undefined;
    const known = this.#statements.byKey.get(id, from, key) as KeyedRow | undefined;
    if (known === undefined) return undefined;
    if (known.digest !== digest) return { state: 'conflict' };
    return { state: 'duplicate', messageId: known.messageId, offset: known.offset };
  }

  #topicRow(topic: TopicKey): TopicRow | undefined {
    const cached = this.#topics.get(topic);
    if (cached !== undefined) return cached;
    const row = this.#statements.topic.get(tenantOfKey(topic), topicOfKey(topic)) as TopicRow | undefined;
    if (row !== undefined) this.#topics.set(topic, row);
    return row;
  }

  #insertTopic(topic: TopicKey): TopicRow {
    const { lastInsertRowid } = this.#statements.insertTopic.run(tenantOfKey(topic), topicOfKey(topic));
    const row = { id: Number(lastInsertRowid), lastOffset: 0 };
    this.#topics.set(topic, row);
    return row;
  }

  #saveLastOffset(topic: TopicKey): void {
    const { id, lastOffset } = this.#topics.get(topic) as TopicRow;
    this.#statements.saveLastOffset.run(lastOffset, id);
  }

  #undo(): void {
    this.#topics.clear();
    if (this.#opened.database.isTransaction) this.#statements.rollback.run();
  }

  #boundCache(): void {
    for (const topic of this.#topics.keys()) {
      if (this.#topics.size <= topicsCachedMax) return;
      this.#topics.delete(topic);
    }
  }
}

interface KeyedRow {
  messageId: MessageId;
  offset: number;
  digest: number;
}

function prepareStatements(database: DatabaseSync) {
  const columns =
    '"offset", message_id AS messageId, sender, event, priority, payload, created_at AS timestampMs';
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    begin: prepare('BEGIN IMMEDIATE'),
    commit: prepare('COMMIT'),
    rollback: prepare('ROLLBACK'),
    topic: prepare(
      'SELECT topic_id AS id, last_offset AS lastOffset FROM topics WHERE tenant = ? AND name = ?',
    ),
    insertTopic: prepare('INSERT INTO topics (tenant, name, last_offset) VALUES (?, ?, 0)'),
    saveLastOffset: prepare('UPDATE topics SET last_offset = ? WHERE topic_id = ?'),
    byId: prepare('SELECT "offset" FROM messages WHERE message_id = ?'),
    byKey: prepare(
      'SELECT message_id AS messageId, "offset", digest FROM messages WHERE topic_id = ? AND sender = ? AND key = ?',
    ),
    insertMessage: prepare(
      `INSERT INTO messages (topic_id, "offset", message_id, sender, event, priority, payload, created_at, key, digest)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    pageAfter: prepare(
      `SELECT ${columns} FROM messages WHERE topic_id = ? AND "offset" > ? AND "offset" < ? ORDER BY "offset" LIMIT ?`,
    ),
    pageBefore: prepare(
      `SELECT ${columns} FROM messages WHERE topic_id = ? AND "offset" < ? ORDER BY "offset" DESC LIMIT ?`,
    ),
  };
}

function epochOf(database: DatabaseSync): string {
  const known = database.prepare('SELECT epoch FROM store').get() as { epoch: string } | undefined;
  if (known !== undefined) return known.epoch;
  const epoch = randomBytes(4).toString('hex');
  database.prepare('INSERT INTO store (epoch) VALUES (?)').run(epoch);
  return epoch;
}

function messageOf(row: unknown): StoredMessage {
  const { offset, messageId, sender, event, priority, payload, timestampMs } = row as {
    [Column in 'messageId' | 'sender']: string;
  } & {
    offset: number;
    event: string | null;
    priority: string | null;
    payload: Uint8Array;
    timestampMs: number;
  };
  return {
    offset,
    messageId: messageId as MessageId,
    from: sender as UserId,
    event: event ?? undefined,
    priority: (priority ?? undefined) as Priority | undefined,
    payload,
    timestampMs,
  };
}
