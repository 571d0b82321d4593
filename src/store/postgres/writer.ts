/**
 * The connection of appends: one transaction after the other, connected again when it is lost.
 * Thread: store. Owned by postgres-history-store.ts. A connection on which anything went wrong that the database did
 * not say itself is thrown away, so that no transaction ever begins inside another.
 */
import type { Client, ClientConfig } from 'pg';
import { closed, connect, discard } from './connect.ts';
import { CommitUnknownError, commit, type Sql, sqlOf, sqlStateOf } from './sql.ts';
import { Turns } from './turns.ts';

/** Whatever the server's default: what is answered as stored is on its disk. Stronger settings stay. */
const durableSql = `SELECT set_config('synchronous_commit', 'on', false)
  WHERE current_setting('synchronous_commit') = 'off'`;

export class Writer {
  readonly #config: ClientConfig;
  #client: Client | undefined;
  readonly #turns = new Turns();
  #isClosed = false;

  constructor(config: ClientConfig) {
    this.#config = config;
  }

  /** Rejects with CommitUnknownError when it may be stored; with anything else, nothing is. */
  transaction<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    return this.#turns.take(() => this.#transaction(run));
  }

  /** Outside of a transaction, on a connection that is new if it was lost. */
  ask<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    return this.#turns.take(() => this.#ask(run));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turns.settled();
    await closed(this.#client?.end());
  }

  async #ask<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    const client = await this.#connected();
    try {
      return await run(sqlOf(client));
    } catch (error) {
      if (sqlStateOf(error) === undefined) this.#lose(client);
      throw error;
    }
  }

  async #transaction<Answer>(run: (sql: Sql) => Promise<Answer>): Promise<Answer> {
    const client = await this.#begin();
    try {
      return await commit(client, run);
    } catch (error) {
      if (error instanceof CommitUnknownError) this.#lose(client);
      else await this.#rollBack(client, error);
      throw error;
    }
  }

  /** A connection that was lost unnoticed has stored nothing yet: another one begins instead. */
  async #begin(): Promise<Client> {
    const known = this.#client;
    if (known !== undefined) {
      try {
        await known.query('BEGIN');
        return known;
      } catch {
        this.#lose(known);
      }
    }
    const fresh = await this.#connected();
    try {
      await fresh.query('BEGIN');
      return fresh;
    } catch (error) {
      this.#lose(fresh);
      throw error;
    }
  }

  async #rollBack(client: Client, error: unknown): Promise<void> {
    // Not the word of the database: the connection is broken, or its answer is still to come.
    if (sqlStateOf(error) === undefined) return this.#lose(client);
    try {
      await client.query('ROLLBACK');
    } catch {
      this.#lose(client);
    }
  }

  async #connected(): Promise<Client> {
    if (this.#isClosed) throw new Error('the store is closed');
    if (this.#client !== undefined) return this.#client;
    const client = await connect(this.#config);
    // Between two batches: the next one begins on a new connection.
    client.once('error', () => this.#lose(client));
    client.once('end', () => this.#lose(client));
    try {
      await client.query(durableSql);
    } catch (error) {
      discard(client);
      throw error;
    }
    this.#client = client;
    return client;
  }

  #lose(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    discard(client);
  }
}
