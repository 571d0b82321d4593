/**
 * Opens the database of DATA_DIR: locked against a second server, migrated, durable at every commit.
 * Thread: store. Called by sqlite-history-store.ts.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type AppliedMigration, pendingMigrations, readMigrations } from '../migrations.ts';

export const databaseFile = 'carillon.db';
/** A database of its own, because the real one stays open to readers: held by a transaction that never ends. */
const lockFile = 'carillon.lock';

const appliedSql = 'SELECT number, name, checksum FROM migrations';

export interface OpenedDatabase {
  database: DatabaseSync;
  close(): void;
}

/** `:memory:` is a database of this process alone, gone with it. Throws a sentence with the name of the setting. */
export function openDatabase(dataDir: string): OpenedDatabase {
  if (dataDir === ':memory:') return openInMemory();
  mkdirSync(dataDir, { recursive: true });
  const lock = takeLock(dataDir);
  try {
    const database = new DatabaseSync(join(dataDir, databaseFile));
    // FULL: a commit is on the disk before it returns (WAL alone would lose the last ones with the power).
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
    migrate(database);
    return {
      database,
      close() {
        database.close();
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw new Error(
      `DATA_DIR is ${JSON.stringify(dataDir)}; its ${databaseFile} cannot be used: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** One that is there and of this release, while a server may be using it. Throws a sentence. */
export function openForReading(dataDir: string): OpenedDatabase {
  const path = join(dataDir, databaseFile);
  const shown = `DATA_DIR is ${JSON.stringify(dataDir)}`;
  if (!existsSync(path)) throw new Error(`${shown}; there is no ${databaseFile} in it`);
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    const applied = database.prepare(appliedSql).all() as unknown as AppliedMigration[];
    const pending = pendingMigrations(readMigrations(join(import.meta.dirname, 'migrations')), applied);
    if (pending.length > 0) throw new Error('it is of an older release: start the server once');
    return { database, close: () => database.close() };
  } catch (error) {
    throw new Error(`${shown}; its ${databaseFile} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function openInMemory(): OpenedDatabase {
  const database = new DatabaseSync(':memory:');
  migrate(database);
  return { database, close: () => database.close() };
}

/** The lock goes with the process, however it ends: it is one of the operating system. */
function takeLock(dataDir: string): DatabaseSync {
  const lock = new DatabaseSync(join(dataDir, lockFile));
  try {
    lock.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    throw new Error(
      `DATA_DIR is ${JSON.stringify(dataDir)}; another server is using it. Allowed is a folder of its own`,
      { cause: error },
    );
  }
}

function migrate(database: DatabaseSync): void {
  database.exec(
    'CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT',
  );
  const applied = database.prepare(appliedSql).all() as unknown as AppliedMigration[];
  const record = database.prepare('INSERT INTO migrations (number, name, checksum) VALUES (?, ?, ?)');
  const known = readMigrations(join(import.meta.dirname, 'migrations'));
  for (const { number, name, checksum, sql } of pendingMigrations(known, applied)) {
    database.exec('BEGIN IMMEDIATE');
    try {
      database.exec(sql);
      record.run(number, name, checksum);
      database.exec('COMMIT');
    } catch (error) {
      database.exec('ROLLBACK');
      throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error });
    }
  }
}
