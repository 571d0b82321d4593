/** The two backends of a chaos test: where the rows are, and the settings that lead a server there. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { StorePlace } from './durable-rows.ts';
import { startPostgres } from './postgres.ts';
import { testSecret } from './test-server.ts';

export const backends = ['SQLite', 'PostgreSQL'] as const;

export interface ChaosStore {
  place: StorePlace;
  settings: Record<string, string>;
}

/** Empty; it ends with its test. */
export async function openStore(t: TestContext, backend: (typeof backends)[number]): Promise<ChaosStore> {
  const dataDir = mkdtempSync(join(tmpdir(), 'carillon-chaos-'));
  // The same over restarts.
  const settings = { DATA_DIR: dataDir, JWT_SECRET: testSecret, LOG_LEVEL: 'info' };
  if (backend === 'SQLite') return { place: { dataDir }, settings };
  const postgres = await startPostgres();
  t.after(() => postgres.close());
  return { place: { databaseUrl: postgres.url }, settings: { ...settings, DATABASE_URL: postgres.url } };
}

/** Topics whose homes are on both of two shards, whatever the ring does. */
export const chaosTopics = Array.from({ length: 8 }, (_, index) => `room:${index}`);

/** Of this run; a failure says it, and CHAOS_SEED repeats what was done. */
export const chaosSeed = Number(process.env['CHAOS_SEED'] ?? Math.floor(Math.random() * 1_000_000));
