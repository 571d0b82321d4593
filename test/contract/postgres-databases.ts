/** Databases of a test's own server: as many as it wants, each new and empty. */
import { Client } from 'pg';
import type { Postgres } from '../kit/postgres.ts';

let lastNumber = 0;

/** Its URL. */
export async function newDatabase(server: Postgres): Promise<string> {
  const name = `carillon_${++lastNumber}`;
  await withClient(server.url, (client) => client.query(`CREATE DATABASE ${name}`));
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return url.href;
}

export async function withClient<Answer>(
  url: string,
  run: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return await run(client);
  } finally {
    await client.end().catch(() => {});
  }
}
