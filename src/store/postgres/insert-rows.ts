/**
 * Rows that wait for their one INSERT, column by column.
 * Thread: store. Used by append.ts. Arrays and `unnest` keep the statement the same for every number of rows.
 */
import type { MessageId, UserId } from '#proto/names.ts';
import type { AppendEntry } from '../history-store.ts';
import { searchWords } from './search-words.ts';
import type { Sql } from './sql.ts';
import type { TopicRow } from './topic-rows.ts';
import { timeFrom, writtenText } from './values.ts';

/** Where an entry goes: its topic, or the topic of its copy. */
export interface Place {
  topic: TopicRow;
  peer: UserId | undefined;
}

const messageTypes = {
  ...{
    topic_id: 'int8',
    offset: 'int8',
    kind: 'text',
    message_id: 'uuid',
    target_id: 'uuid',
    sender: 'text',
  },
  ...{ peer: 'text', event: 'text', priority: 'text', payload: 'bytea', created_ms: 'int8', words: 'text' },
};
const keyTypes = {
  ...{ topic_id: 'int8', sender: 'text', key: 'text', digest: 'int8', message_id: 'uuid', offset: 'int8' },
  ...{ copy_offset: 'int8', created_ms: 'int8' },
};

type Columns<Types> = { [Name in keyof Types]: unknown[] };

export class InsertRows {
  #messages = columnsOf(messageTypes);
  #keys = columnsOf(keyTypes);
  /** Topics with new offsets. */
  readonly #topics = new Set<TopicRow>();

  /** Takes the next offset of the topic. */
  addMessage({ topic, peer }: Place, entry: AppendEntry): number {
    const { kind, messageId, target, from, event, priority, payload, timestampMs, text } = entry;
    const columns = this.#messages;
    topic.lastOffset++;
    this.#topics.add(topic);
    columns.topic_id.push(topic.id);
    columns.offset.push(topic.lastOffset);
    columns.kind.push(kind);
    columns.message_id.push(messageId);
    columns.target_id.push(target);
    columns.sender.push(from);
    columns.peer.push(peer);
    columns.event.push(event === undefined ? undefined : writtenText(event));
    columns.priority.push(priority);
    columns.payload.push(payload);
    columns.created_ms.push(timestampMs);
    // Found is the message itself, by its newest words.
    columns.words.push(kind === 'message' && text !== undefined ? searchWords(text) : undefined);
    return topic.lastOffset;
  }

  addKey(topic: TopicRow, entry: AppendEntry, at: { offset: number; copyOffset: number | undefined }): void {
    const columns = this.#keys;
    columns.topic_id.push(topic.id);
    columns.sender.push(entry.from);
    columns.key.push(writtenText(entry.key as string));
    columns.digest.push(entry.digest);
    columns.message_id.push(entry.messageId);
    columns.offset.push(at.offset);
    columns.copy_offset.push(at.copyOffset);
    columns.created_ms.push(entry.timestampMs);
  }

  /** One of the rows that wait: where it is found, all are. */
  evidence(): { topicId: number; messageId: MessageId } | undefined {
    const { topic_id: topicIds, message_id: messageIds } = this.#messages;
    if (topicIds.length === 0) return undefined;
    return { topicId: topicIds[0] as number, messageId: messageIds[0] as MessageId };
  }

  /** Writes what waits, with the last offsets of its topics. */
  async flush(sql: Sql, searchLanguage: string): Promise<void> {
    if (this.#topics.size === 0) return;
    const topics = [...this.#topics];
    const [messages, keys] = [Object.values(this.#messages), Object.values(this.#keys)];
    this.#messages = columnsOf(messageTypes);
    this.#keys = columnsOf(keyTypes);
    this.#topics.clear();
    const last = [topics.map(({ id }) => id), topics.map(({ lastOffset }) => lastOffset)];
    if (keys[0]?.length === 0) await sql.all(messagesSql, [...last, searchLanguage, ...messages]);
    else await sql.all(keyedSql, [...last, searchLanguage, ...messages, ...keys]);
  }
}

const added = `added AS (
  INSERT INTO messages (topic_id, "offset", kind, message_id, target_id, sender, peer, event, priority, payload,
    created_at, words)
  SELECT topic_id, "offset", kind, message_id, target_id, sender, peer, event, priority, payload,
    ${timeFrom('created_ms')}, to_tsvector($3::text::regconfig, words)
  FROM ${unnest(messageTypes, 4)})`;

const keyed = `keyed AS (
  INSERT INTO message_keys (topic_id, sender, key, digest, message_id, "offset", copy_offset, created_at)
  SELECT topic_id, sender, key, digest, message_id, "offset", copy_offset, ${timeFrom('created_ms')}
  FROM ${unnest(keyTypes, 4 + Object.keys(messageTypes).length)})`;

const moved = `UPDATE topics AS t SET last_offset = m.last_offset
  FROM unnest($1::int8[], $2::int8[]) AS m (topic_id, last_offset) WHERE t.topic_id = m.topic_id`;

const messagesSql = `WITH ${added} ${moved}`;
const keyedSql = `WITH ${added}, ${keyed} ${moved}`;

function columnsOf<Types extends object>(types: Types): Columns<Types> {
  return Object.fromEntries(Object.keys(types).map((name) => [name, []])) as unknown as Columns<Types>;
}

function unnest(types: Record<string, string>, first: number): string {
  const parameters = Object.values(types).map((type, index) => `$${first + index}::${type}[]`);
  const names = Object.keys(types).map((name) => `"${name}"`);
  return `unnest(${parameters.join(', ')}) AS given (${names.join(', ')})`;
}
