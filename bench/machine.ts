/** The machine that is measured on: what it is, and whether it would lie now. Linux only. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  date: string;
  description: string;
  peers: string;
}

/** Above this the machine does something else, and every figure would lie. */
const loadMax = 0.7;
/** For 10,000 connections in one process, and what it needs itself. */
const descriptorsMin = 12_000;

/** Descriptors that one process may have. Node raises its soft limit to this by itself. */
export function descriptorLimit(): number {
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}

/** A sentence that says what to do, where figures of this machine would lie. */
export function machineComplaint(): string | undefined {
  const load = loadavg()[0] as number;
  if (load > loadMax)
    return `the load average is ${load.toFixed(2)}; wait until the machine is quiet (below ${loadMax})`;
  const limit = descriptorLimit();
  return limit < descriptorsMin
    ? `the descriptor limit is ${limit}; raise it: ulimit -Hn ${descriptorsMin}`
    : undefined;
}

export function machineOf(): Machine {
  const cores = `${availableParallelism()} x ${cpus()[0]?.model.trim()}`;
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GB`;
  // Loopback is TCP too: it decides how a crowded connection behaves.
  const congestion = readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  return {
    date: new Date().toISOString().slice(0, 10),
    description: `${cores}, ${memory}, Linux ${release()} (${congestion}), Node ${process.version}`,
    peers: peerVersions(),
  };
}

function peerVersions(): string {
  const text = readFileSync(join(import.meta.dirname, 'peers', 'package.json'), 'utf8');
  const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
  return Object.entries(dependencies)
    .map(([name, version]) => (name === 'node' ? `node ${version} (of uwebsockets)` : `${name} ${version}`))
    .join(', ');
}
