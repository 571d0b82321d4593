/** The databases that the store's scenarios run on. PostgreSQL is a server of their own, found or fetched by the test kit. */
import { startPostgres } from '../test/kit/postgres.ts';
import type { Bench } from './scenario.ts';

export interface OpenBackend {
  /** Environment variables of our server. */
  settings: Record<string, string>;
  close: () => Promise<void>;
}

export interface Backend {
  name: 'SQLite' | 'PostgreSQL';
  /** Undefined where it cannot run here: `problem` says why. */
  open?: () => Promise<OpenBackend>;
  problem?: string;
}

/** A smoke takes what needs no other server. */
export async function backends(bench: Bench): Promise<Backend[]> {
  const sqlite: Backend = { name: 'SQLite', open: async () => ({ settings: {}, close: async () => {} }) };
  if (bench.isSmoke) return [sqlite];
  try {
    const postgres = await startPostgres();
    const open = async () => ({ settings: { DATABASE_URL: postgres.url }, close: () => postgres.close() });
    return [sqlite, { name: 'PostgreSQL', open }];
  } catch (error) {
    return [sqlite, { name: 'PostgreSQL', problem: (error as Error).message }];
  }
}
