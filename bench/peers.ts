/** The servers that ours is measured against: how each is started, and why one cannot run here. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServerName } from './load/dialects.ts';

export type PeerName = Exclude<ServerName, 'carillon'>;

const peersDir = join(import.meta.dirname, 'peers');
const modules = join(peersDir, 'node_modules');
/** uWebSockets has binaries for Node up to 20 that work: the peers' package brings that Node. */
const node20 = join(modules, 'node', 'bin', 'node');
const installPeers = 'npm install --no-save --prefix bench/peers';
const natsPaths = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin'];

/** The same room for young objects in every server on Node: V8's own limit grows with a storm of connections and stays. */
export const semiSpace = '--max-semi-space-size=8';

interface Peer {
  command: () => string;
  /** A file of bench/peers; nats-server has none. */
  file?: string;
  /** The package that it stands for. */
  package?: string;
}

const peers: Record<PeerName, Peer> = {
  'ws loop': { command: () => process.execPath, file: 'ws-loop.mjs', package: 'ws' },
  'ws moved': { command: () => process.execPath, file: 'ws-moved.mjs', package: 'ws' },
  'Socket.IO': { command: () => process.execPath, file: 'socketio.mjs', package: 'socket.io' },
  'Socket.IO cluster': {
    command: () => process.execPath,
    file: 'socketio-cluster.mjs',
    package: '@socket.io/cluster-adapter',
  },
  uWebSockets: { command: () => node20, file: 'uwebsockets.cjs', package: 'uwebsockets' },
  NATS: { command: () => natsPath() ?? 'nats-server' },
};

/** A sentence where the peer cannot run here, and what to do about it. */
export function peerProblem(name: PeerName): string | undefined {
  if (name === 'NATS')
    return natsPath() === undefined ? 'nats-server is not installed: apt-get install nats-server' : undefined;
  const { package: packageName, command } = peers[name];
  if (!existsSync(join(modules, packageName as string)))
    return `bench/peers lacks ${packageName}: ${installPeers}`;
  if (name !== 'uWebSockets') return undefined;
  if (!existsSync(node20)) return `uwebsockets needs Node 20: ${installPeers}`;
  try {
    execFileSync(command(), ['-e', "require('uwebsockets')"], { cwd: peersDir, stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `uwebsockets does not run on this machine: ${(error as Error).message.split('\n')[1]}`;
  }
}

/** The ones that npm brings must be there: a run without them compares nothing. nats-server is skipped loudly. */
export function missingPeers(): string | undefined {
  const missing = Object.values(peers).find(
    ({ package: name }) => name !== undefined && !existsSync(join(modules, name)),
  );
  return missing && `bench/peers lacks ${missing.package}: ${installPeers}`;
}

/** `dataDir` is for what a peer wants to read from a file. */
export function startPeer(name: PeerName, dataDir: string): ChildProcess {
  const { command, file } = peers[name];
  const args = file === undefined ? ['-c', natsConfigIn(dataDir)] : [semiSpace, file];
  const errors = file === undefined ? 'pipe' : 'inherit';
  return spawn(command(), args, { cwd: peersDir, stdio: ['ignore', 'pipe', errors] });
}

function natsPath(): string | undefined {
  return natsPaths.map((path) => join(path, 'nats-server')).find(existsSync);
}

function natsConfigIn(dataDir: string): string {
  const path = join(dataDir, 'nats.conf');
  const webSocket = 'websocket { host: "127.0.0.1", port: -1, no_tls: true, compression: false }';
  writeFileSync(path, `listen: "127.0.0.1:-1"\n${webSocket}\n`);
  return path;
}
