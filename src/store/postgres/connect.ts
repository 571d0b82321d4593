/**
 * How this server connects: limits on every wait, and no secret in a sentence.
 * Thread: store. Called by open-database.ts, writer.ts and readers.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type ClientConfig } from 'pg';
import { typeParsers } from './values.ts';

export interface PostgresOptions {
  /** Name of a text search configuration: what stems and stop words a search knows. */
  searchLanguage: string;
  /** Of one statement; a batch that waits longer for a lock is rolled back. */
  statementTimeoutMs: number;
  connectTimeoutMs: number;
  /** Connections for everything but appends. */
  readersMax: number;
  /** How long it is tried to find out whether a COMMIT without an answer was one. */
  fateTimeoutMs: number;
}

export const defaultOptions: PostgresOptions = {
  searchLanguage: 'simple',
  statementTimeoutMs: 5_000,
  connectTimeoutMs: 5_000,
  readersMax: 4,
  fateTimeoutMs: 10_000,
};

/** The database ends a statement first, so that its connection stays good; this is for one that is silent. */
const silenceMs = 2_000;

/** Nothing is unfinished then: it is only a farewell. */
const closeTimeoutMs = 1_000;

export function clientConfig(databaseUrl: string, options: PostgresOptions): ClientConfig {
  const { statementTimeoutMs, connectTimeoutMs } = options;
  return {
    connectionString: databaseUrl,
    application_name: 'carillon',
    types: typeParsers,
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + silenceMs,
    // Of a connection that was cut without a word: its locks must not outlive it for long.
    idle_in_transaction_session_timeout: 2 * statementTimeoutMs,
  };
}

/** Connected, and it never ends the process: what fails with it is the question that is asked. */
export async function connect(config: ClientConfig): Promise<Client> {
  const client = new Client(config);
  client.on('error', ignore);
  try {
    await client.connect();
    return client;
  } catch (error) {
    discard(client);
    throw error;
  }
}

/** Nobody waits for a connection that may be silent. */
export function discard(client: Client): void {
  client.end().catch(ignore);
}

export function ignore(): void {}

/** Resolves when a connection or a pool is closed, or its server had its time to say so. */
export async function closed(end: Promise<void> | undefined): Promise<void> {
  await Promise.race([end?.catch(ignore), sleep(closeTimeoutMs, undefined, { ref: false })]);
}

/** Where it leads, for people: without password and parameters. Undefined when it is no such URL. */
export function shownUrl(databaseUrl: string): string | undefined {
  if (!/^postgres(?:ql)?:\/\//.test(databaseUrl) || !URL.canParse(databaseUrl)) return undefined;
  const { protocol, username, host, pathname } = new URL(databaseUrl);
  return `${protocol}//${username === '' ? '' : `${username}@`}${host}${pathname}`;
}

/** Some errors of connections say nothing themselves: those of a name with several addresses. */
export function reasonOf(error: unknown): string {
  const { message, errors } = error as { message: string; errors?: Error[] };
  return message === '' ? (errors ?? []).map((each) => each.message).join(', ') : message;
}
