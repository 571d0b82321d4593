/**
 * Which stretch of which topic is in which file, and the ways there and back.
 * Thread: store. Called by sqlite-history-store.ts, what writes inside a transaction. The folder is of one process (see
 * open-database.ts), so whoever asks has the lead.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { type Tenant, type TopicName, tenantOfKey, topicKey, topicOfKey } from '#proto/names.ts';
import { ArchiveEraser } from '../archive-eraser.ts';
import type {
  Archive,
  ArchiveIndex,
  ArchiveLead,
  Erasure,
  RestoredEntry,
  RestoreResult,
  TopicAge,
} from '../archive-index.ts';
import { fingerprintOf } from '../archive-lines.ts';
import { type MessageRow, messageColumns, messageOf } from './message-row.ts';
import type { TopicRow, TopicRows } from './topic-rows.ts';
import type { Upkeep } from './upkeep.ts';

type Asked<Name extends keyof ArchiveLead> = Parameters<ArchiveLead[Name]>[0];
type Named<Row> = Row & { tenant: Tenant; name: TopicName };

export class Archives {
  readonly #database: DatabaseSync;
  readonly #topics: TopicRows;
  readonly #upkeep: Upkeep;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, topics: TopicRows, upkeep: Upkeep) {
    this.#database = database;
    this.#topics = topics;
    this.#upkeep = upkeep;
  }

  // ---- reading

  list({ topic, tenant, endedBeforeMs, after, limit }: Parameters<ArchiveIndex['archives']>[0]): Archive[] {
    const conditions: [sql: string, ...values: SQLInputValue[]][] = [['1']];
    if (topic !== undefined)
      conditions.push(['tenant = ? AND name = ?', tenantOfKey(topic), topicOfKey(topic)]);
    if (tenant !== undefined) conditions.push(['tenant = ?', tenant]);
    if (endedBeforeMs !== undefined) conditions.push(['to_time < ?', endedBeforeMs]);
    if (after !== undefined) {
      const place = [tenantOfKey(after.topic), topicOfKey(after.topic), after.firstOffset];
      conditions.push(['(tenant, name, a.first_offset) > (?, ?, ?)', ...place]);
    }
    return this.#all<Named<Omit<Archive, 'topic'>>>(
      `SELECT tenant, name, a.first_offset AS firstOffset, a.last_offset AS lastOffset, from_time AS fromMs,
         to_time AS toMs, message_count AS messageCount, bytes, sha256, file
       FROM archives AS a JOIN topics USING (topic_id) WHERE ${conditions.map(([sql]) => sql).join(' AND ')}
       ORDER BY tenant, name, a.first_offset LIMIT ?`,
      ...conditions.flatMap(([, ...values]) => values),
      limit,
    ).map(({ tenant: of, name, ...archive }) => ({ topic: topicKey(of, name), ...archive }));
  }

  topicAges({ after, limit }: Parameters<ArchiveIndex['topicAges']>[0]): TopicAge[] {
    const [tenant, name] = after === undefined ? ['', ''] : [tenantOfKey(after), topicOfKey(after)];
    return this.#all<Named<{ oldestMs: number | null; heldUntilMs: number | null }>>(
      `SELECT tenant, name, held_until AS heldUntilMs, m.created_at AS oldestMs
       FROM topics AS t LEFT JOIN messages AS m ON m.topic_id = t.topic_id AND m."offset" = t.first_offset
       WHERE (tenant, name) > (?, ?) ORDER BY tenant, name LIMIT ?`,
      ...[tenant, name, limit],
    ).map((row) => ({
      topic: topicKey(row.tenant, row.name),
      oldestMs: row.oldestMs ?? undefined,
      heldUntilMs: row.heldUntilMs ?? undefined,
    }));
  }

  erasures(): Erasure[] {
    return this.#all<Erasure>(
      'SELECT erasure_id AS id, tenant, user_id AS user, erased_at AS atMs FROM erasures ORDER BY erasure_id',
    );
  }

  // ---- writing

  move({ archive, fingerprint }: Asked<'move'>): boolean {
    const { firstOffset, lastOffset } = archive;
    const row = this.#topics.find(archive.topic);
    if (row?.firstOffset !== firstOffset) return false;
    const rows = this.#all<MessageRow>(
      `SELECT ${messageColumns} FROM messages AS m WHERE topic_id = ? AND "offset" <= ? ORDER BY "offset"`,
      ...[row.id, lastOffset],
    );
    if (fingerprintOf(rows.map(messageOf)) !== fingerprint) return false;
    this.#upkeep.beginAt(row, lastOffset + 1);
    const { fromMs, toMs, messageCount, bytes, sha256, file } = archive;
    this.#run(
      `INSERT INTO archives (topic_id, first_offset, last_offset, from_time, to_time, message_count, bytes, sha256, file)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[row.id, firstOffset, lastOffset, fromMs, toMs, messageCount, bytes, sha256, file],
    );
    return true;
  }

  replace({ archive, by }: Asked<'replace'>): boolean {
    const changed = this.#run(
      'UPDATE archives SET file = ?, bytes = ?, sha256 = ? WHERE topic_id = ? AND first_offset = ? AND sha256 = ?',
      ...[by.file, by.bytes, by.sha256, this.#idOf(archive), archive.firstOffset, archive.sha256],
    );
    return changed > 0;
  }

  drop(archive: Archive): void {
    this.#run(
      'DELETE FROM archives WHERE topic_id = ? AND first_offset = ? AND sha256 = ?',
      ...[this.#idOf(archive), archive.firstOffset, archive.sha256],
    );
  }

  restore({ archive, entries, heldUntilMs }: Asked<'restore'>): RestoreResult {
    const { topic, firstOffset, sha256 } = archive;
    const row = this.#topics.find(topic);
    const [known] = this.list({ topic, after: { topic, firstOffset: firstOffset - 1 }, limit: 1 });
    if (row === undefined || known?.firstOffset !== firstOffset || known.sha256 !== sha256) return 'gone';
    if (row.firstOffset !== archive.lastOffset + 1) return 'apart';
    this.drop(archive);
    const tenant = tenantOfKey(topic);
    const eraser = new ArchiveEraser(this.erasures().filter((erasure) => erasure.tenant === tenant));
    for (const entry of entries) {
      const erased = eraser.erased(entry);
      this.#insert(row, erased, erased === entry ? entry.text : undefined);
    }
    row.firstOffset = firstOffset;
    this.#topics.save(row);
    this.#run('UPDATE topics SET held_until = ? WHERE topic_id = ?', heldUntilMs, row.id);
    return 'restored';
  }

  blankEdits({ topic, targets }: Asked<'blankEdits'>): void {
    const row = this.#topics.find(topic);
    if (row === undefined) return;
    for (const target of targets) {
      this.#run(
        `UPDATE messages SET payload = x'c0' WHERE target_id = ? AND topic_id = ? AND kind = 'edited'`,
        ...[target, row.id],
      );
    }
  }

  settle({ id }: Erasure): void {
    this.#run('DELETE FROM erasures WHERE erasure_id = ?', id);
  }

  #insert({ id }: TopicRow, entry: RestoredEntry, text: string | undefined): void {
    const { offset, kind, messageId, target, from, peer, event, priority, payload } = entry;
    const { timestampMs, editedAtMs, deletedAtMs } = entry;
    this.#run(
      `INSERT INTO messages (topic_id, "offset", kind, message_id, target_id, sender, peer, event, priority, payload,
         created_at, edited_at, deleted_at, digest)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
      ...[id, offset, kind, messageId, target ?? null, from, peer ?? null, event ?? null, priority ?? null],
      ...[payload, timestampMs, editedAtMs ?? null, deletedAtMs ?? null],
    );
    if (kind === 'message' && text !== undefined)
      this.#run('INSERT INTO message_words (rowid, text) VALUES ((? << 40) | ?, ?)', id, offset, text);
  }

  #idOf({ topic }: Archive): number {
    return this.#topics.find(topic)?.id ?? 0;
  }

  #all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepared(sql)
      .all(...values)
      .map((row) => ({ ...row })) as Row[];
  }

  #run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}
