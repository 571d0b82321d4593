/**
 * Entries → rows: offsets, keys, copies, and what edits and deletions do to their message.
 * Thread: store. Called by postgres-history-store.ts inside a transaction of its own: topics are locked, what is known
 * of repeats and keys is asked at once, all else is decided here, and written at once.
 */
import type { MessageId, TopicKey } from '#proto/names.ts';
import type { AppendEntry, AppendResult } from '../history-store.ts';
import { amend } from './amend.ts';
import { InsertRows } from './insert-rows.ts';
import { type KnownMessages, knownMessages } from './known-messages.ts';
import type { Sql } from './sql.ts';
import type { LockedTopics, TopicIds, TopicRow } from './topic-rows.ts';

/** What tells later whether a transaction was committed. */
export interface Evidence {
  transactionId: string;
  topicId: number;
  messageId: MessageId;
}

export class Batch {
  readonly results: AppendResult[] = [];
  /** Undefined: nothing was to be written, and the results are true without a commit. */
  evidence: Evidence | undefined;
  readonly #entries: readonly AppendEntry[];
  readonly #ids: TopicIds;
  readonly #searchLanguage: string;
  readonly #waiting = new InsertRows();
  #topics: LockedTopics | undefined;

  constructor(entries: readonly AppendEntry[], ids: TopicIds, searchLanguage: string) {
    this.#entries = entries;
    this.#ids = ids;
    this.#searchLanguage = searchLanguage;
  }

  async run(sql: Sql): Promise<void> {
    const keys = new Set<TopicKey>();
    for (const { topic, copy } of this.#entries) {
      keys.add(topic);
      if (copy !== undefined) keys.add(copy.topic);
    }
    this.#topics = await this.#ids.lock(sql, [...keys]);
    const known = await knownMessages(sql, this.#entries, this.#topics.rows);
    for (const entry of this.#entries) this.results.push(await this.#append(sql, entry, known));
    await this.#flush(sql);
  }

  /** It is committed. */
  onStored(): void {
    if (this.#topics !== undefined) this.#ids.remember(this.#topics.learned);
  }

  async #append(sql: Sql, entry: AppendEntry, known: KnownMessages): Promise<AppendResult> {
    const topic = this.#rowOf(entry.topic);
    const copy = entry.copy && { topic: this.#rowOf(entry.copy.topic), peer: entry.copy.peer };
    const before = known.resultOf(entry, topic, copy?.topic);
    if (before !== undefined) return before;
    if (entry.kind !== 'message') {
      await this.#flush(sql); // the message may be of this batch
      const topics = copy === undefined ? [topic] : [topic, copy.topic];
      const refused = await amend(sql, entry, topics, this.#searchLanguage);
      if (refused !== undefined) return refused;
    }
    const offset = this.#waiting.addMessage({ topic, peer: entry.peer }, entry);
    const copyOffset = copy && this.#waiting.addMessage(copy, entry);
    if (entry.key !== undefined) this.#waiting.addKey(topic, entry, { offset, copyOffset });
    known.add(entry, topic, { offset, copy: copy?.topic, copyOffset });
    return { state: 'stored', offset, copyOffset };
  }

  async #flush(sql: Sql): Promise<void> {
    const written = this.#waiting.evidence();
    const transactionId = this.#topics?.transactionId ?? '';
    this.evidence ??= written && { transactionId, ...written };
    await this.#waiting.flush(sql, this.#searchLanguage);
  }

  #rowOf(key: TopicKey): TopicRow {
    return this.#topics?.rows.get(key) as TopicRow;
  }
}
