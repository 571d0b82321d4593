/** Starts ours and the peers, each as processes of its own, and reads what they cost from procfs. Linux only. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigner } from 'fast-jwt';
import type { ServerName } from './load/dialects.ts';
import { semiSpace, startPeer } from './peers.ts';

const root = join(import.meta.dirname, '..');
const secret = 'a secret of benchmarks, at least thirty-two bytes long';
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
/** More than any scenario reaches: limits are not what is measured. */
const plenty = '1000000';

/** The peers store nothing: where we are compared with them, neither do we. Scenarios of the store say so themselves. */
const volatileRules = rulesFile([{ match: '*', class: 'volatile' }]);
/** As `npm start` is without a configuration. */
export const durableRules = rulesFile([]);

function rulesFile(topics: object[]): string {
  const path = join(mkdtempSync(join(tmpdir(), 'carillon-bench-')), 'config.json');
  writeFileSync(path, JSON.stringify({ topics }));
  return path;
}

export interface BenchServer {
  name: ServerName;
  port: number;
  /** User and system time of all its processes so far, microseconds; counted in ticks of 10 ms. */
  cpuMicroseconds(): number;
  residentBytes(): number;
  /** Kills shard 1, where FAILPOINTS allows it. */
  breakShard(): void;
  /** How often shards asked the store so (store_queries_total). */
  storeQueries(query: string): Promise<number>;
  stop(): Promise<void>;
}

/** Tokens of `user-0` to `user-<count - 1>` for our server; the peers ask for none. */
export function tokensOf(count: number): string[] {
  const sign = createSigner({ key: secret, algorithm: 'HS256', expiresIn: 3_600_000 });
  return Array.from({ length: count }, (_, index) => sign({ sub: `user-${index}` }));
}

/** Resolves when it listens. `settings` are environment variables, for ours. */
export async function startServer(
  name: ServerName,
  settings: Record<string, string> = {},
): Promise<BenchServer> {
  const dataDir = mkdtempSync(join(tmpdir(), 'carillon-bench-'));
  const child =
    name === 'carillon' ? startOurs({ DATA_DIR: dataDir, ...settings }) : startPeer(name, dataDir);
  // Also when the bench itself is ended in the middle.
  const kill = () => void child.kill('SIGKILL');
  process.on('exit', kill);
  const { port, pids = [] } = await announcementOf(child);
  const processes = [child.pid as number, ...pids];
  return {
    name,
    port,
    cpuMicroseconds: () => processes.reduce((sum, pid) => sum + cpuMicroseconds(pid), 0),
    residentBytes: () => processes.reduce((sum, pid) => sum + residentBytes(pid), 0),
    breakShard: () => void child.kill('SIGUSR2'),
    storeQueries: (query) => storeQueries(port, query),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exit = once(child, 'exit');
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      kill();
      await exit;
      process.off('exit', kill);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function startOurs(settings: Record<string, string>): ChildProcess {
  // As `npm start` runs it, unless something of it is to be broken on purpose.
  const entry = settings['FAILPOINTS'] === 'true' ? 'bench/breakable-server.ts' : 'src/main.ts';
  return spawn(process.execPath, [semiSpace, entry], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ...{ PORT: '0', SHARDS: '1', JWT_SECRET: secret, LOG_FORMAT: 'json', RATE_LIMIT_ENABLED: 'false' },
      ...{ HANDSHAKE_RATE_IP: `${plenty}/s`, MAX_CONNECTIONS: plenty, MAX_CONNECTIONS_PER_IP: plenty },
      MAX_CONNECTIONS_PER_USER: plenty,
      CARILLON_CONFIG: volatileRules,
      ...settings,
    },
  });
}

interface Announcement {
  port: number;
  /** Processes beside the one that was started. */
  pids?: number[];
}

/** The first line that names a port: JSON of ours and of the peers, a sentence of nats-server (on stderr). */
async function announcementOf(child: ChildProcess): Promise<Announcement> {
  let output = '';
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  for (const stream of streams) stream.on('data', (bytes: Buffer) => (output += bytes.toString()));
  for (;;) {
    const json = /^\{.*"port":\d+.*\}$/m.exec(output)?.[0];
    if (json !== undefined) return JSON.parse(json) as Announcement;
    const port = /websocket clients on ws:\/\/[\d.]+:(\d+)/.exec(output)?.[1];
    if (port !== undefined) return { port: Number(port) };
    if (child.exitCode !== null) throw new Error(`the server exited with ${child.exitCode}: ${output}`);
    await Promise.race([...streams.map((stream) => once(stream, 'data')), once(child, 'exit')]);
  }
}

async function storeQueries(port: number, query: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`^store_queries_total\\{query="${query}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond;
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
