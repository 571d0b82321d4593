/**
 * Opens the database of DATABASE_URL: new enough, migrated, with an epoch and the partitions of these days.
 * Thread: store. Called by postgres-history-store.ts. All of it is one transaction under one lock: of servers that start
 * together one does it, and what fails leaves nothing.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ClientConfig } from 'pg';
import { type AppliedMigration, pendingMigrations, readMigrations } from '../migrations.ts';
import { connect, discard, reasonOf, shownUrl } from './connect.ts';
import type { Partitions } from './partitions.ts';
import { commit, type Sql } from './sql.ts';

const advisoryLock = 'carillon migrations';
/** Another server may migrate a large database. */
const openTimeoutMs = 600_000;
const oldestVersion = 14;

/** Answers the epoch. Rejects with a sentence with the name of the setting, and without its password. */
export async function openDatabase(
  databaseUrl: string,
  config: ClientConfig,
  { partitions, searchLanguage }: { partitions: Partitions; searchLanguage: string },
): Promise<string> {
  const shown = shownUrl(databaseUrl);
  if (shown === undefined) {
    throw new Error(
      'DATABASE_URL is no URL of PostgreSQL. Allowed is postgres://user:password@host:port/database',
    );
  }
  try {
    const timeouts = { statement_timeout: openTimeoutMs, query_timeout: openTimeoutMs };
    const client = await connect({ ...config, ...timeouts });
    try {
      await client.query('BEGIN');
      return await commit(client, (sql) => prepare(sql, partitions, searchLanguage));
    } finally {
      discard(client);
    }
  } catch (error) {
    throw new Error(`DATABASE_URL is "${shown}"; its database cannot be used: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

async function prepare(sql: Sql, partitions: Partitions, searchLanguage: string): Promise<string> {
  await checkServer(sql, searchLanguage);
  await sql.all('SELECT pg_advisory_xact_lock(hashtext($1))', [advisoryLock]);
  await migrate(sql);
  await partitions.makeCurrent(sql);
  return epochOf(sql);
}

/** Rejects with what is missing. */
export async function checkServer(sql: Sql, searchLanguage: string): Promise<void> {
  const [{ version }] = (await sql.all(`SELECT current_setting('server_version') AS version`)) as [
    { version: string },
  ];
  if (Number.parseInt(version, 10) < oldestVersion) {
    throw new Error(`it is PostgreSQL ${version}, and ${oldestVersion} is the oldest that will do`);
  }
  const known = await sql.all('SELECT 1 FROM pg_ts_config WHERE cfgname = $1', [searchLanguage]);
  if (known.length === 0) throw new Error(`it has no text search configuration "${searchLanguage}"`);
}

async function migrate(sql: Sql): Promise<void> {
  await sql.all(
    'CREATE TABLE IF NOT EXISTS migrations (number integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL)',
  );
  const applied = await sql.all<AppliedMigration>('SELECT number, name, checksum FROM migrations');
  const known = readMigrations(join(import.meta.dirname, 'migrations'));
  for (const { number, name, checksum, sql: text } of pendingMigrations(known, applied)) {
    try {
      await sql.all(text);
    } catch (error) {
      throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error });
    }
    await sql.all('INSERT INTO migrations (number, name, checksum) VALUES ($1, $2, $3)', [
      number,
      name,
      checksum,
    ]);
  }
}

async function epochOf(sql: Sql): Promise<string> {
  const [known] = await sql.all<{ epoch: string }>('SELECT epoch FROM store');
  if (known !== undefined) return known.epoch;
  const epoch = randomBytes(4).toString('hex');
  await sql.all('INSERT INTO store (epoch) VALUES ($1)', [epoch]);
  return epoch;
}
