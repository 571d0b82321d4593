/**
 * The right to change archives: an advisory lock, held by a connection of its own.
 * Thread: store, or the process of `npm run archive`. Made by postgres-history-store.ts. What is written under the lock is
 * written through the connection that holds it: whoever lost the connection has lost the lock, and can write no more.
 */
import type { Client, ClientConfig } from 'pg';
import { connect, discard } from './connect.ts';
import { commit, type Sql, sqlOf, sqlStateOf } from './sql.ts';

const advisoryLock = 'carillon archives';
/** Of one statement under the lock, and of waiting for the row of a topic. */
const statementTimeoutMs = 60_000;
/** The database ends a statement first. */
const silenceMs = 2_000;
const lockTimeout = '55P03';

export class LeadConnection {
  readonly #client: Client;

  /** Undefined: another process has the lock for longer than `waitMs`. Who waits longest gets it first. */
  static async tryOpen(config: ClientConfig, waitMs: number): Promise<LeadConnection | undefined> {
    const longestMs = Math.max(statementTimeoutMs, waitMs + silenceMs);
    const timeouts = { statement_timeout: longestMs, query_timeout: longestMs + silenceMs };
    const client = await connect({ ...config, ...timeouts });
    try {
      const sql = sqlOf(client);
      await sql.all(`SELECT set_config('lock_timeout', $1, false)`, [String(Math.max(1, waitMs))]);
      await sql.all('SELECT pg_advisory_lock(hashtext($1))', [advisoryLock]);
      await sql.all(`SELECT set_config('lock_timeout', '0', false)`);
      return new LeadConnection(client);
    } catch (error) {
      discard(client);
      if (sqlStateOf(error) === lockTimeout) return undefined;
      throw error;
    }
  }

  private constructor(client: Client) {
    this.#client = client;
  }

  async transaction<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    await this.#client.query('BEGIN');
    try {
      return await commit(this.#client, run);
    } catch (error) {
      // If the connection is lost, so is the transaction.
      await this.#client.query('ROLLBACK').catch(() => {});
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}
