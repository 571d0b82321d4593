/** A real server in the test's own process, on a free port: real threads, real sockets. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigner } from 'fast-jwt';
import { parseConfig } from '../../src/config/load-config.ts';
import type { LogDestination } from '../../src/observe/log-destination.ts';
import { type RunningServer, startServer } from '../../src/server.ts';

export const testSecret = 'a secret of tests, at least thirty-two bytes long';

export interface TestServer extends RunningServer {
  url: string;
  /** Log lines so far, parsed. */
  logs: Record<string, unknown>[];
}

/** Two shards, no rate limits, a secret of its own; `settings` are environment variables on top. */
export async function startTestServer(settings: Record<string, string> = {}): Promise<TestServer> {
  const config = parseConfig(
    {
      PORT: '0',
      SHARDS: '2',
      DATA_DIR: dataDirWithSecret(),
      RATE_LIMIT_ENABLED: 'false',
      HANDSHAKE_RATE_IP: '100000/s',
      MAX_CONNECTIONS_PER_IP: '100000',
      FAILPOINTS: 'true',
      LOG_LEVEL: 'debug',
      ...settings,
    },
    false,
  );
  const logs: Record<string, unknown>[] = [];
  const destination: LogDestination = {
    write: (line) => void logs.push(JSON.parse(line) as Record<string, unknown>),
    onDrop: () => {},
    flush: async () => {},
  };
  const server = await startServer(config, destination);
  return Object.assign(server, { url: `127.0.0.1:${server.port}`, logs });
}

/** The development secret is ours: so tests can sign tokens, and the demo page makes its own. */
function dataDirWithSecret(): string {
  const dataDir = mkdtempSync(join(tmpdir(), 'carillon-test-'));
  writeFileSync(join(dataDir, 'development-secret'), testSecret);
  return dataDir;
}

/** A token of `sub`; `claims` on top. `expiresInMs` may be negative. */
export function tokenOf(sub: string, claims: object = {}, expiresInMs = 3_600_000, key = testSecret): string {
  const exp = Math.floor((Date.now() + expiresInMs) / 1000);
  return createSigner({ key, algorithm: 'HS256' })({ sub, exp, ...claims });
}
