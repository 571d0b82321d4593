/** Starts ours and the peers, each as a process of its own, and reads what they cost from procfs. Linux only. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigner } from 'fast-jwt';
import type { ServerName } from './load/dialects.ts';

const root = join(import.meta.dirname, '..');
const peersDir = join(import.meta.dirname, 'peers');
const secret = 'a secret of benchmarks, at least thirty-two bytes long';
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export interface BenchServer {
  name: ServerName;
  port: number;
  /** User and system time of the whole process so far, microseconds. */
  cpuMicroseconds(): number;
  residentBytes(): number;
  stop(): Promise<void>;
}

/** A token of `user` for our server; the peers ask for none. */
export function tokenOf(user: string): string {
  return createSigner({ key: secret, algorithm: 'HS256', expiresIn: 3_600_000 })({ sub: user });
}

/** Resolves when it listens. `settings` are environment variables, for ours. */
export async function startServer(
  name: ServerName,
  settings: Record<string, string> = {},
): Promise<BenchServer> {
  const child = name === 'carillon' ? startOurs(settings) : startPeer(name);
  const port = await portOf(child);
  return {
    name,
    port,
    cpuMicroseconds: () => cpuMicroseconds(child.pid as number),
    residentBytes: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024,
    async stop() {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
    },
  };
}

/** Peers have their own package file; a sentence says what is missing. */
export function missingPeers(): string | undefined {
  return existsSync(join(peersDir, 'node_modules', 'socket.io'))
    ? undefined
    : 'the peers are not installed: npm install --no-save --prefix bench/peers';
}

function startOurs(settings: Record<string, string>): ChildProcess {
  return spawn(process.execPath, ['src/main.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      ...{ PORT: '0', SHARDS: '1', JWT_SECRET: secret, LOG_FORMAT: 'json', RATE_LIMIT_ENABLED: 'false' },
      ...{ HANDSHAKE_RATE_IP: '1000000/s', MAX_CONNECTIONS: '200000', MAX_CONNECTIONS_PER_IP: '200000' },
      ...{ MAX_CONNECTIONS_PER_USER: '200000', DATA_DIR: mkdtempSync(join(tmpdir(), 'carillon-bench-')) },
      ...settings,
    },
  });
}

const peerCommands: Record<Exclude<ServerName, 'carillon'>, [command: string, file: string]> = {
  'ws loop': [process.execPath, 'ws-loop.mjs'],
  'Socket.IO': [process.execPath, 'socketio.mjs'],
  uWebSockets: [join(peersDir, 'node_modules', 'node', 'bin', 'node'), 'uwebsockets.cjs'],
};

function startPeer(name: Exclude<ServerName, 'carillon'>): ChildProcess {
  const [command, file] = peerCommands[name];
  return spawn(command, [file], { cwd: peersDir, stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The first line with a port in it. */
async function portOf(child: ChildProcess): Promise<number> {
  let output = '';
  for (;;) {
    const match = /"port":(\d+)/.exec(output);
    if (match) return Number(match[1]);
    if (child.exitCode !== null) throw new Error(`the server exited with ${child.exitCode}`);
    const [bytes] = (await once(child.stdout!, 'data')) as [Buffer];
    output += bytes.toString();
  }
}

function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond;
}
