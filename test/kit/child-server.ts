/** The server as its own process, as `npm start` runs it: for signals, descriptors and memory. Linux only (procfs). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testSecret } from './test-server.ts';

const root = join(import.meta.dirname, '../..');

export interface ChildServer {
  url: string;
  process: ChildProcess;
  /** What it printed so far. */
  output(): string;
  descriptorCount(): number;
  /** Resident memory, bytes. */
  residentBytes(): number;
  /** SIGTERM; resolves with the exit code. */
  terminate(): Promise<number | null>;
}

/** Resolves when it listens; rejects with its output when it does not. */
export async function startChildServer(
  settings: Record<string, string> = {},
  nodeFlags: string[] = [],
): Promise<ChildServer> {
  const child = spawn(process.execPath, [...nodeFlags, 'src/main.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PORT: '0',
      SHARDS: '2',
      DATA_DIR: mkdtempSync(join(tmpdir(), 'carillon-child-')),
      JWT_SECRET: testSecret,
      LOG_FORMAT: 'json',
      RATE_LIMIT_ENABLED: 'false',
      HANDSHAKE_RATE_IP: '100000/s',
      MAX_CONNECTIONS: '20000',
      MAX_CONNECTIONS_PER_IP: '20000',
      ...settings,
    },
  });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (output += bytes.toString()));
  const port = await listeningPort(child, () => output);
  return {
    url: `127.0.0.1:${port}`,
    process: child,
    output: () => output,
    descriptorCount: () => readdirSync(`/proc/${child.pid}/fd`).length,
    residentBytes: () =>
      Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024,
    async terminate() {
      const exit = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = (await exit) as [number | null];
      return code;
    },
  };
}

async function listeningPort(child: ChildProcess, output: () => string): Promise<number> {
  for (;;) {
    const line = output()
      .split('\n')
      .find((candidate) => candidate.includes('"msg":"listening"'));
    if (line !== undefined) return (JSON.parse(line) as { port: number }).port;
    if (child.exitCode !== null) throw new Error(`the server exited with ${child.exitCode}: ${output()}`);
    await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
  }
}
