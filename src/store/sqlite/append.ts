/**
 * Entries → rows: offsets, keys, copies, and what edits and deletions do to their message.
 * Thread: store. Called by sqlite-history-store.ts inside a transaction of its own.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { MessageId, UserId } from '#proto/names.ts';
import type { AppendEntry, AppendResult } from '../history-store.ts';
import type { TopicRow, TopicRows } from './topic-rows.ts';

/** msgpack. */
const nil = Buffer.from([0xc0]);

interface TargetRow {
  offset: number;
  sender: string;
  kind: string;
  deletedAt: number | null;
}

interface KeyedRow {
  messageId: MessageId;
  offset: number;
  digest: number;
}

/** Where an entry goes: its topic, or the topic of its copy, which has no key of its own. */
interface Place {
  topic: TopicRow;
  peer: UserId | undefined;
  key: string | undefined;
}

export class Appender {
  readonly #topics: TopicRows;
  readonly #statements: ReturnType<typeof prepareStatements>;

  constructor(database: DatabaseSync, topics: TopicRows) {
    this.#topics = topics;
    this.#statements = prepareStatements(database);
  }

  append(entries: readonly AppendEntry[]): AppendResult[] {
    const touched = new Set<TopicRow>();
    const results = entries.map((entry) => this.#appendOne(entry, touched));
    for (const topic of touched) this.#topics.save(topic);
    return results;
  }

  #appendOne(entry: AppendEntry, touched: Set<TopicRow>): AppendResult {
    const topic = this.#topics.open(entry.topic);
    const known = this.#resultOf(topic, entry);
    if (known !== undefined) return known;
    const copy = entry.copy && { topic: this.#topics.open(entry.copy.topic), peer: entry.copy.peer };
    if (entry.kind !== 'message') {
      const refused = this.#amend(entry, copy === undefined ? [topic] : [topic, copy.topic]);
      if (refused !== undefined) return refused;
    }
    const offset = this.#insert({ topic, peer: entry.peer, key: entry.key }, entry, touched);
    const copyOffset = copy && this.#insert({ ...copy, key: undefined }, entry, touched);
    return { state: 'stored', offset, copyOffset };
  }

  /** Of an entry that is stored already, or whose key is taken. */
  #resultOf(topic: TopicRow, entry: AppendEntry): AppendResult | undefined {
    if (entry.isRepeat) {
      const offset = this.#offsetOf(topic, entry.messageId);
      if (offset !== undefined)
        return { state: 'stored', offset, copyOffset: this.#copyOffset(entry, entry.messageId) };
    }
    if (entry.key === undefined) return undefined;
    const keyed = this.#statements.byKey.get(topic.id, entry.from, entry.key) as KeyedRow | undefined;
    if (keyed === undefined) return undefined;
    if (keyed.digest !== entry.digest) return { state: 'conflict' };
    const { messageId, offset } = keyed;
    return { state: 'duplicate', messageId, offset, copyOffset: this.#copyOffset(entry, messageId) };
  }

  #copyOffset({ copy }: AppendEntry, messageId: MessageId): number | undefined {
    return copy && this.#offsetOf(this.#topics.open(copy.topic), messageId);
  }

  #offsetOf(topic: TopicRow, messageId: MessageId): number | undefined {
    const row = this.#statements.byId.get(messageId, topic.id) as { offset: number } | undefined;
    return row?.offset;
  }

  /** Changes the message itself, wherever it is; undefined when that was done. */
  #amend(entry: AppendEntry, topics: TopicRow[]): AppendResult | undefined {
    const targets = topics.map(
      ({ id }) => this.#statements.target.get(entry.target as string, id) as TargetRow | undefined,
    );
    const [target] = targets;
    if (target === undefined || target.kind !== 'message' || target.deletedAt !== null)
      return { state: 'missing' };
    if (target.sender !== entry.from && !entry.mayAmendAny) return { state: 'forbidden' };
    for (const [index, topic] of topics.entries()) {
      const found = targets[index];
      if (found !== undefined) this.#change(topic, found.offset, entry);
    }
    return undefined;
  }

  #change({ id }: TopicRow, offset: number, { kind, target, payload, text, timestampMs }: AppendEntry): void {
    const { edit, remove, blankEdits, forgetWords } = this.#statements;
    forgetWords.run(id, offset);
    if (kind === 'edited') {
      edit.run(payload, timestampMs, id, offset);
      this.#index(id, offset, text);
    } else {
      remove.run(nil, timestampMs, id, offset);
      blankEdits.run(nil, target as string, id);
    }
  }

  #insert({ topic, peer, key }: Place, entry: AppendEntry, touched: Set<TopicRow>): number {
    topic.lastOffset++;
    touched.add(topic);
    const { kind, messageId, target, from, event, priority, payload, timestampMs, digest } = entry;
    this.#statements.insert.run(
      ...[topic.id, topic.lastOffset, kind, messageId, target ?? null, from, peer ?? null],
      ...[event ?? null, priority ?? null, payload, timestampMs, key ?? null, digest],
    );
    if (kind === 'message') this.#index(topic.id, topic.lastOffset, entry.text);
    return topic.lastOffset;
  }

  #index(topicId: number, offset: number, text: string | undefined): void {
    if (text !== undefined) this.#statements.addWords.run(topicId, offset, text);
  }
}

function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    byId: prepare('SELECT "offset" FROM messages WHERE message_id = ? AND topic_id = ?'),
    byKey: prepare(
      'SELECT message_id AS messageId, "offset", digest FROM messages WHERE topic_id = ? AND sender = ? AND key = ?',
    ),
    target: prepare(
      `SELECT "offset", sender, kind, deleted_at AS deletedAt FROM messages WHERE message_id = ? AND topic_id = ?`,
    ),
    edit: prepare('UPDATE messages SET payload = ?, edited_at = ? WHERE topic_id = ? AND "offset" = ?'),
    remove: prepare('UPDATE messages SET payload = ?, deleted_at = ? WHERE topic_id = ? AND "offset" = ?'),
    blankEdits: prepare('UPDATE messages SET payload = ? WHERE target_id = ? AND topic_id = ?'),
    insert: prepare(
      `INSERT INTO messages (topic_id, "offset", kind, message_id, target_id, sender, peer, event, priority, payload,
         created_at, key, digest)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    addWords: prepare('INSERT INTO message_words (rowid, text) VALUES ((? << 40) | ?, ?)'),
    forgetWords: prepare('DELETE FROM message_words WHERE rowid = ((? << 40) | ?)'),
  };
}
