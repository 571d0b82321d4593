/**
 * The rows of `topics` that a batch writes to, locked in one order by every server.
 * Thread: store. Owned by append.ts. Remembered are ids only: offsets are true under the lock alone, since another
 * server may append to the same topic.
 */
import { type TopicKey, tenantOfKey, topicOfKey } from '#proto/names.ts';
import type { Sql } from './sql.ts';

/** Topics whose id is remembered; beyond, all are asked for again. */
const idsMax = 50_000;

export interface TopicRow {
  id: number;
  lastOffset: number;
}

export interface LockedTopics {
  rows: Map<TopicKey, TopicRow>;
  /** Of the transaction: what became of it can be asked later. */
  transactionId: string;
  /** Ids that were learned in this transaction, good once it is committed. */
  learned: Map<TopicKey, number>;
}

export class TopicIds {
  readonly #ids = new Map<TopicKey, number>();

  /** Until the end of the transaction; those that are not there are made. */
  async lock(sql: Sql, keys: readonly TopicKey[]): Promise<LockedTopics> {
    // New rows before all locks: whoever makes rows holds no other row that somebody waits for.
    const learned = await learn(
      sql,
      keys.filter((key) => !this.#ids.has(key)),
    );
    const idOf = (key: TopicKey) => this.#ids.get(key) ?? learned.get(key);
    const locked = await sql.all<TopicRow & { transactionId: string }>(
      `SELECT topic_id AS id, last_offset AS "lastOffset", pg_current_xact_id()::text AS "transactionId"
       FROM topics WHERE topic_id = ANY($1::int8[]) ORDER BY topic_id FOR NO KEY UPDATE`,
      [keys.map(idOf)],
    );
    const byId = new Map(locked.map((row) => [row.id, row]));
    const rows = new Map<TopicKey, TopicRow>();
    for (const key of keys) {
      const row = byId.get(idOf(key) as number);
      if (row === undefined) return this.#miss(key);
      rows.set(key, { id: row.id, lastOffset: row.lastOffset });
    }
    return { rows, transactionId: locked[0]?.transactionId ?? '', learned };
  }

  remember(learned: Map<TopicKey, number>): void {
    if (this.#ids.size + learned.size > idsMax) this.#ids.clear();
    for (const [key, id] of learned) this.#ids.set(key, id);
  }

  /** Somebody deleted it by hand: the next batch makes it again. */
  #miss(key: TopicKey): never {
    this.#ids.delete(key);
    throw new Error(`the row of topic ${key} is gone`);
  }
}

/** By name, so that two servers that make the same topics do not wait for each other in a circle. */
async function learn(sql: Sql, keys: TopicKey[]): Promise<Map<TopicKey, number>> {
  if (keys.length === 0) return new Map();
  const names = [keys.map(tenantOfKey), keys.map(topicOfKey)];
  const asked = 'FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (tenant, name, number)';
  await sql.all(
    `INSERT INTO topics (tenant, name) SELECT tenant, name ${asked}
     ORDER BY tenant COLLATE "C", name COLLATE "C" ON CONFLICT DO NOTHING`,
    names,
  );
  const rows = await sql.all<{ number: number; id: number }>(
    `SELECT number, t.topic_id AS id ${asked} JOIN topics AS t USING (tenant, name)`,
    names,
  );
  return new Map(rows.map(({ number, id }) => [keys[number - 1] as TopicKey, id]));
}
