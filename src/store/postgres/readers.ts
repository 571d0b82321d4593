/**
 * The few connections of everything but appends.
 * Thread: store. Owned by postgres-history-store.ts. A connection that failed in any way is not used again.
 */
import { type ClientConfig, Pool, type PoolClient } from 'pg';
import { closed, ignore } from './connect.ts';
import { commit, type Sql, sqlOf } from './sql.ts';

/** Of erasures and statistics, which look at everything a tenant has. */
const longTimeoutMs = 600_000;
const idleTimeoutMs = 30_000;

export class Readers {
  readonly #pool: Pool;

  constructor(config: ClientConfig, connectionsMax: number) {
    this.#pool = new Pool({ ...config, max: connectionsMax, idleTimeoutMillis: idleTimeoutMs });
    // A connection that breaks while nobody uses it ends the process otherwise; while it is used, its question fails.
    this.#pool.on('error', ignore);
    this.#pool.on('connect', (client) => client.on('error', ignore));
  }

  read<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    return this.#withClient((client) => run(sqlOf(client)));
  }

  transaction<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    return this.#withClient(async (client) => {
      await client.query('BEGIN');
      return commit(client, run);
    });
  }

  /** A transaction whose statements may take minutes. */
  longTransaction<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    return this.transaction(async (sql) => {
      await sql.all(`SELECT set_config('statement_timeout', $1, true)`, [String(longTimeoutMs)]);
      return run({ all: (text, values) => sql.all(text, values, longTimeoutMs) });
    });
  }

  async close(): Promise<void> {
    await closed(this.#pool.end());
  }

  async #withClient<Answer>(run: (client: PoolClient) => Promise<Answer>): Promise<Answer> {
    const client = await this.#pool.connect();
    try {
      const answer = await run(client);
      client.release();
      return answer;
    } catch (error) {
      // It may be in a transaction, or its answer is still to come: it is closed.
      client.release(true);
      throw error;
    }
  }
}
