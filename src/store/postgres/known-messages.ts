/**
 * What a batch must know of the past: repeats by message id, and keys; its own entries become part of it.
 * Thread: store. Used by append.ts, under the locks of the topics: nobody else can add to it meanwhile.
 */
import type { MessageId, TopicKey } from '#proto/names.ts';
import type { AppendEntry, AppendResult } from '../history-store.ts';
import type { Sql } from './sql.ts';
import type { TopicRow } from './topic-rows.ts';
import { writtenText } from './values.ts';

interface Keyed {
  digest: number;
  messageId: MessageId;
  offset: number;
  copyOffset: number | undefined;
}

interface StoredAt {
  offset: number;
  copy: TopicRow | undefined;
  copyOffset: number | undefined;
}

export class KnownMessages {
  readonly #offsets = new Map<string, number>();
  readonly #keys = new Map<string, Keyed>();

  addOffset(topicId: number, messageId: MessageId, offset: number): void {
    this.#offsets.set(`${topicId} ${messageId}`, offset);
  }

  addKey(topicId: number, entry: AppendEntry, keyed: Keyed): void {
    this.#keys.set(keyName(topicId, entry), keyed);
  }

  add(entry: AppendEntry, topic: TopicRow, { offset, copy, copyOffset }: StoredAt): void {
    const { messageId, digest } = entry;
    this.addOffset(topic.id, messageId, offset);
    if (copy !== undefined && copyOffset !== undefined) this.addOffset(copy.id, messageId, copyOffset);
    if (entry.key !== undefined) this.addKey(topic.id, entry, { digest, messageId, offset, copyOffset });
  }

  /** Of an entry that is stored already, or whose key is taken. */
  resultOf(entry: AppendEntry, topic: TopicRow, copy: TopicRow | undefined): AppendResult | undefined {
    if (entry.isRepeat) {
      const offset = this.#offsets.get(`${topic.id} ${entry.messageId}`);
      const copyOffset = copy && this.#offsets.get(`${copy.id} ${entry.messageId}`);
      if (offset !== undefined) return { state: 'stored', offset, copyOffset };
    }
    const keyed = entry.key === undefined ? undefined : this.#keys.get(keyName(topic.id, entry));
    if (keyed === undefined) return undefined;
    const { digest, messageId, offset, copyOffset } = keyed;
    return digest === entry.digest
      ? { state: 'duplicate', messageId, offset, copyOffset }
      : { state: 'conflict' };
  }
}

export async function knownMessages(
  sql: Sql,
  entries: readonly AppendEntry[],
  topics: Map<TopicKey, TopicRow>,
): Promise<KnownMessages> {
  const known = new KnownMessages();
  const repeats = entries.filter(({ isRepeat }) => isRepeat);
  if (repeats.length > 0) await addRepeats(sql, repeats, topics, known);
  const keyed = entries.filter(({ key }) => key !== undefined);
  if (keyed.length > 0) await addKeys(sql, keyed, topics, known);
  return known;
}

type Add = (
  sql: Sql,
  entries: AppendEntry[],
  topics: Map<TopicKey, TopicRow>,
  known: KnownMessages,
) => Promise<void>;

const addRepeats: Add = async (sql, entries, topics, known) => {
  const places = entries.flatMap(({ topic, copy }) => (copy === undefined ? [topic] : [topic, copy.topic]));
  const rows = await sql.all<{ topicId: number; messageId: MessageId; offset: number }>(
    `SELECT topic_id AS "topicId", message_id AS "messageId", "offset" FROM messages
     WHERE message_id = ANY($1::uuid[]) AND topic_id = ANY($2::int8[])`,
    [entries.map(({ messageId }) => messageId), [...new Set(places)].map((key) => topics.get(key)?.id)],
  );
  for (const { topicId, messageId, offset } of rows) known.addOffset(topicId, messageId, offset);
};

/** LATERAL and LIMIT: one look into the index per key, whatever the planner believes of the table's size. */
const addKeys: Add = async (sql, entries, topics, known) => {
  const topicIdOf = ({ topic }: AppendEntry) => (topics.get(topic) as TopicRow).id;
  const rows = await sql.all<Omit<Keyed, 'copyOffset'> & { copyOffset: number | null; number: number }>(
    `SELECT asked.number, k.* FROM unnest($1::int8[], $2::text[], $3::text[])
         WITH ORDINALITY AS asked (topic_id, sender, key, number),
       LATERAL (SELECT digest, message_id AS "messageId", "offset", copy_offset AS "copyOffset" FROM message_keys
         WHERE topic_id = asked.topic_id AND sender = asked.sender AND key = asked.key LIMIT 1) AS k`,
    [
      entries.map(topicIdOf),
      entries.map(({ from }) => from),
      entries.map(({ key }) => writtenText(key as string)),
    ],
  );
  for (const { number, copyOffset, ...keyed } of rows) {
    const entry = entries[number - 1] as AppendEntry;
    known.addKey(topicIdOf(entry), entry, { ...keyed, copyOffset: copyOffset ?? undefined });
  }
};

/** As it is in the table. The key comes last: it may have any character. */
function keyName(topicId: number, { from, key }: AppendEntry): string {
  return `${topicId} ${from} ${writtenText(key as string)}`;
}
