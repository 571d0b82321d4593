/**
 * Numbered SQL files, applied once each and in order, with a checksum of what was applied.
 * Thread: store. Called when a backend opens its database, under the lock of that backend.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Migration {
  number: number;
  name: string;
  sql: string;
  checksum: string;
}

export interface AppliedMigration {
  number: number;
  name: string;
  checksum: string;
}

/** `001-history.sql` and so on, in order. */
export function readMigrations(folder: string): Migration[] {
  const files = readdirSync(folder)
    .filter((file) => /^\d{3}-[a-z0-9-]+\.sql$/.test(file))
    .sort();
  return files.map((file) => {
    const sql = readFileSync(join(folder, file), 'utf8');
    const checksum = createHash('sha256').update(sql).digest('hex');
    return { number: Number(file.slice(0, 3)), name: file, sql, checksum };
  });
}

/** Those that are still to be applied. Throws a sentence when the database is not one of this release or its past. */
export function pendingMigrations(known: Migration[], applied: AppliedMigration[]): Migration[] {
  for (const { number, name, checksum } of applied) {
    const migration = known.find((candidate) => candidate.number === number);
    if (migration === undefined) {
      throw new Error(
        `the database has migration ${name}, which this release does not know: it was made by a newer one`,
      );
    }
    if (migration.checksum !== checksum) {
      throw new Error(
        `the database was made with another text of migration ${name}: one of the two was changed by hand`,
      );
    }
  }
  return known.filter(({ number }) => !applied.some((done) => done.number === number));
}
