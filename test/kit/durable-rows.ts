/**
 * What the store has in the end, read from SQLite or PostgreSQL past the server: one history per topic, as
 * history-checker.ts wants it, and the keys. Tests of SQL themselves are elsewhere; this only reads.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { unpack } from 'msgpackr';
import { Client } from 'pg';
import type { FinalTopic } from './history-events.ts';

/** Where the rows are. */
export type StorePlace = { dataDir: string } | { databaseUrl: string };

export interface StoredTopic extends FinalTopic {
  /** As the topic's own row has it. */
  lastOffset: number;
}

export interface StoredKey {
  topic: string;
  sender: string;
  key: string;
  messageId: string;
  offset: number;
}

export interface Rows {
  epoch: string;
  topics: StoredTopic[];
  /** Every key that the store remembers, as often as it does. */
  keys: StoredKey[];
}

interface TopicRow {
  name: string;
  lastOffset: number;
}

interface MessageRow {
  topic: string;
  offset: number;
  messageId: string;
  sender: string;
  peer: string | null;
  payload: Uint8Array;
}

export async function readRows(place: StorePlace): Promise<Rows> {
  return 'dataDir' in place ? readSqlite(place.dataDir) : readPostgres(place.databaseUrl);
}

/** A direct message keeps the order between two users only: in an inbox each conversation is a sender. */
export function inboxSender(from: string, to: string): string {
  return `${from}>${to}`;
}

function readSqlite(dataDir: string): Rows {
  const database = new DatabaseSync(join(dataDir, 'carillon.db'), { readOnly: true });
  try {
    const all = (sql: string) => database.prepare(sql).all() as never[];
    return rowsOf({
      epoch: all('SELECT epoch FROM store')[0]!['epoch'],
      topics: all('SELECT name, last_offset AS lastOffset FROM topics ORDER BY name'),
      messages: all(`SELECT t.name AS topic, m."offset", message_id AS messageId, sender, peer, payload
        FROM messages AS m JOIN topics AS t USING (topic_id) ORDER BY topic_id, m."offset"`),
      keys: all(`SELECT t.name AS topic, sender, key, message_id AS messageId, m."offset"
        FROM messages AS m JOIN topics AS t USING (topic_id) WHERE key IS NOT NULL`),
    });
  } finally {
    database.close();
  }
}

async function readPostgres(databaseUrl: string): Promise<Rows> {
  const client = new Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: 5_000,
    query_timeout: 20_000,
  });
  client.on('error', () => {});
  await client.connect();
  try {
    const all = async (sql: string) => (await client.query(sql)).rows as never[];
    return rowsOf({
      epoch: (await all('SELECT epoch FROM store'))[0]!['epoch'],
      topics: await all('SELECT name, last_offset::float8 AS "lastOffset" FROM topics ORDER BY name'),
      messages:
        await all(`SELECT t.name AS topic, m."offset"::float8, message_id AS "messageId", sender, peer, payload
        FROM messages AS m JOIN topics AS t USING (topic_id) ORDER BY topic_id, m."offset"`),
      keys: await all(`SELECT t.name AS topic, sender, key, message_id AS "messageId", k."offset"::float8
        FROM message_keys AS k JOIN topics AS t USING (topic_id)`),
    });
  } finally {
    await client.end();
  }
}

function rowsOf({
  epoch,
  topics,
  messages,
  keys,
}: {
  epoch: string;
  topics: TopicRow[];
  messages: MessageRow[];
  keys: StoredKey[];
}): Rows {
  const byTopic = Map.groupBy(messages, ({ topic }) => topic);
  return {
    ...{ epoch, keys },
    topics: topics.map(({ name, lastOffset }) => ({
      ...{ tenant: 'default', topic: name, epoch, lastOffset },
      messages: (byTopic.get(name) ?? []).map((row) => ({
        ...{ offset: row.offset, messageId: row.messageId, sender: senderOf(row) },
        body: String(unpack(row.payload)),
      })),
    })),
  };
}

function senderOf({ topic, sender, peer }: MessageRow): string {
  if (!topic.startsWith('inbox:')) return sender;
  const owner = topic.slice('inbox:'.length);
  return sender === owner ? inboxSender(sender, peer as string) : inboxSender(sender, owner);
}
