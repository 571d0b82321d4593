/**
 * Questions to one connection, and transactions on it.
 * Thread: store. Used by everything in this folder; the only one that knows how a transaction ends.
 */
import type { ClientBase } from 'pg';

/** A connection that is ours for now: one question after the other. */
export interface Sql {
  /** `timeoutMs`: where the question may take longer than others; the database has to be told separately. */
  all<Row extends object>(text: string, values?: unknown[], timeoutMs?: number): Promise<Row[]>;
}

/** The answer to COMMIT did not come, or was an error: the transaction may be stored. */
export class CommitUnknownError extends Error {
  override readonly name = 'CommitUnknownError';
}

export function sqlOf(client: Pick<ClientBase, 'query'>): Sql {
  return {
    async all<Row extends object>(text: string, values: unknown[] = [], timeoutMs?: number) {
      // `query_timeout` of one question is known to pg, and not to its types.
      const limits = timeoutMs === undefined ? {} : { query_timeout: timeoutMs };
      return (await client.query<Row>({ text, values, ...limits })).rows;
    },
  };
}

/** Rejects with CommitUnknownError, or with what failed before; then nothing is stored once the connection is gone. */
export async function commit<Answer>(
  client: ClientBase,
  run: (sql: Sql) => Promise<Answer>,
): Promise<Answer> {
  const answer = await run(sqlOf(client));
  try {
    await client.query('COMMIT');
  } catch (error) {
    throw new CommitUnknownError('the answer to COMMIT did not come', { cause: error });
  }
  return answer;
}

/** What the database says of an error: five characters, or undefined where the connection failed. */
export function sqlStateOf(error: unknown): string | undefined {
  const code: unknown = (error as { code?: unknown }).code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in (error as object)
    ? code
    : undefined;
}
