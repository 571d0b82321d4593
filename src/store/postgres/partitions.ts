/**
 * The monthly partitions of `messages`, made before their month begins.
 * Thread: store. Owned by postgres-history-store.ts; asked before each batch. A month that cannot get its partition now
 * (somebody reads for long, or the net below has messages of it) is left to `messages_default`: nobody waits for it.
 */
import type { AppendEntry } from '../history-store.ts';
import { type Sql, sqlStateOf } from './sql.ts';

/** Of all servers on one database: one makes tables at a time. */
const advisoryLock = 'carillon partitions';
/** New months of one batch; beyond, somebody brings in the past, and the net below takes it. */
const newMonthsMax = 12;
/** A partition waits for all readers of the table, and new readers wait behind it. */
const lockTimeoutMs = 1_000;

type Dated = Pick<AppendEntry, 'timestampMs'>;
/** Months since the year 0, UTC. */
type Month = number;

export class Partitions {
  /** Months that need nothing: they have their partition, or had their chance. */
  readonly #settled = new Set<Month>();
  /** Most messages are of the month of the one before. */
  #startMs = 0;
  #endMs = 0;

  /** `run` makes a transaction. Never rejects. */
  async ensure(
    entries: readonly Dated[],
    run: (work: (sql: Sql) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const months = this.#newMonths(entries);
    if (months.length === 0) return;
    try {
      if (months.length <= newMonthsMax) await run((sql) => makePartitions(sql, this.#withNext(months)));
    } catch (error) {
      if (isPassing(error)) return;
    }
    for (const month of months) this.#settled.add(month);
  }

  /** At the start: this month by the clock of the database, and the next. Inside a transaction. */
  async makeCurrent(sql: Sql): Promise<void> {
    const [{ nowMs }] = (await sql.all('SELECT (extract(epoch from now()) * 1000)::int8 AS "nowMs"')) as [
      { nowMs: number },
    ];
    const month = monthOf(nowMs);
    await sql.all(makeSql(month));
    await sql.all(makeSql(month + 1));
    this.#settled.add(month);
  }

  /** The next one ahead: its first message then finds its partition made. */
  #withNext(months: Month[]): Month[] {
    return [...months, Math.max(...months) + 1].filter((month) => !this.#settled.has(month));
  }

  #newMonths(entries: readonly Dated[]): Month[] {
    const months = new Set<Month>();
    for (const { timestampMs } of entries) {
      if (timestampMs >= this.#startMs && timestampMs < this.#endMs) continue;
      const month = monthOf(timestampMs);
      if (this.#settled.has(month)) [this.#startMs, this.#endMs] = [startOf(month), startOf(month + 1)];
      else months.add(month);
    }
    return [...months];
  }
}

/** The connection was lost, or the server ends or has no room: the month has its chance with the next batch. */
function isPassing(error: unknown): boolean {
  return /^(?:57P|53)/.test(sqlStateOf(error) ?? '57P');
}

async function makePartitions(sql: Sql, months: Month[]): Promise<void> {
  await sql.all(`SELECT set_config('lock_timeout', $1, true), pg_advisory_xact_lock(hashtext($2))`, [
    ...[String(lockTimeoutMs), advisoryLock],
  ]);
  for (const month of months) await sql.all(makeSql(month));
}

/** Names and bounds are ours: numbers only. */
function makeSql(month: Month): string {
  const name = `messages_${dayOf(month).slice(0, 7).replace('-', '_')}`;
  return `CREATE TABLE IF NOT EXISTS ${name} PARTITION OF messages
    FOR VALUES FROM ('${dayOf(month)} 00:00:00+00') TO ('${dayOf(month + 1)} 00:00:00+00')`;
}

function monthOf(ms: number): Month {
  const date = new Date(ms);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

function startOf(month: Month): number {
  return Date.UTC(Math.floor(month / 12), month % 12);
}

/** `2026-01-01`. */
function dayOf(month: Month): string {
  return new Date(startOf(month)).toISOString().slice(0, 10);
}
