/** What does a connection cost: CPU for its handshake, memory while it is idle? */
import { setTimeout as sleep } from 'node:timers/promises';
import { runnable, skippedRow } from './deliveries.ts';
import { freshAddress } from './fresh-address.ts';
import type { ConnectionOrder, ConnectionReply } from './load/connection-load.ts';
import { LoadProcess } from './load-process.ts';
import { descriptorLimit } from './machine.ts';
import { type Candidate, candidate } from './measure.ts';
import { type Bench, compare, type Row, type Scenario } from './scenario.ts';
import { type BenchServer, startServer, tokensOf } from './servers.ts';

/** 'ws moved' is the floor of our shape: sockets accepted in one thread and moved to another, and nothing else. */
const candidates = (['carillon', 'ws loop', 'ws moved', 'Socket.IO'] as const).map((name) => candidate(name));
/** Connections of one process of the load, each process with an address of its own. */
const perLoadProcess = 10_000;
/** Time for the garbage of handshakes to be collected, milliseconds. */
const settleMs = 3000;
const openAtOnce = 50;
/** Descriptors that a process needs beside its connections. */
const otherDescriptors = 200;

interface Size {
  connections: number;
  /** Opened before anything is measured, so that code is compiled and heaps have grown. */
  warmUp: number;
  settleMs: number;
}

const sizes: Size[] = [
  { connections: 10_000, warmUp: 2000, settleMs },
  { connections: 50_000, warmUp: 2000, settleMs },
];
const smoke: Size = { connections: 30, warmUp: 10, settleMs: 0 };

export const connections: Scenario = {
  name: 'connections',
  question: 'What does a connection cost: CPU for its handshake, memory while it is idle?',
  async run(bench) {
    for (const size of bench.isSmoke ? [smoke] : sizes) await measureSize(bench, size);
  },
};

async function measureSize(bench: Bench, size: Size): Promise<void> {
  const { connections: count, warmUp } = size;
  const needed = count + otherDescriptors;
  if (descriptorLimit() < needed) {
    const note = `the descriptor limit is ${descriptorLimit()}; raise it: ulimit -Hn ${needed}`;
    const skipped = { state: 'skipped', value: Number.NaN, unit: '', note } as const;
    return bench.rows([{ setting: `${count} connections`, server: 'all', ...skipped }]);
  }
  const measured: Measured[] = [];
  for (const server of runnable(bench, candidates)) {
    bench.progress(`${count} connections, ${server.label}`);
    measured.push(await measureServer(server, size));
  }
  const handshakes = measured.map(({ handshake }) => handshake);
  const memory = measured.map(({ idle }) => idle);
  for (const [rows, atMost] of [
    [handshakes, 1.5],
    [memory, 1.3],
  ] as const) {
    compare(rows, [
      { server: 'carillon', against: 'ws loop', atMost },
      { server: 'carillon', against: 'ws moved' },
      { server: 'ws moved', against: 'ws loop' },
    ]);
  }
  for (const row of [...handshakes, ...memory]) row.setting += `, ${count - warmUp} more than ${warmUp}`;
  bench.rows([...handshakes, ...memory]);
}

interface Measured {
  handshake: Row;
  idle: Row;
}

async function measureServer(asked: Candidate, size: Size): Promise<Measured> {
  const skipped = skippedRow('handshake', asked);
  if (skipped !== undefined) return { handshake: skipped, idle: { ...skipped, setting: 'idle' } };
  const server = await startServer(asked.server, asked.settings);
  const holders = new Holders(server, tokensOf(size.connections));
  try {
    await holders.open(size.warmUp);
    await sleep(size.settleMs);
    const [cpuBefore, residentBefore] = [server.cpuMicroseconds(), server.residentBytes()];
    const count = size.connections - size.warmUp;
    const tookMs = await holders.open(count);
    const cpuMicroseconds = server.cpuMicroseconds() - cpuBefore;
    await sleep(size.settleMs);
    const grownBytes = server.residentBytes() - residentBefore;
    const shared = { server: asked.label, ...verdictOf(await holders.closedCount()) };
    const perSecond = `${Math.round((count / tookMs) * 1000)} handshakes/s`;
    return {
      handshake: {
        ...{ setting: 'handshake', value: cpuMicroseconds / count / 1000, unit: 'ms CPU/handshake' },
        ...{ note: asked.server === 'carillon' ? `${perSecond}, each with a token of its own` : perSecond },
        ...shared,
      },
      idle: { setting: 'idle', value: grownBytes / count / 1024, unit: 'KB/connection', ...shared },
    };
  } finally {
    holders.end();
    await server.stop();
  }
}

function verdictOf(closedCount: number): { state: 'measured' } | { state: 'void'; note: string } {
  if (closedCount === 0) return { state: 'measured' };
  return { state: 'void', note: `${closedCount} connections were closed by the server` };
}

/** Processes of the load that hold the connections to one server. */
class Holders {
  readonly #server: BenchServer;
  readonly #tokens: string[];
  readonly #processes: LoadProcess<ConnectionOrder | 'count', ConnectionReply>[] = [];
  #openCount = 0;

  constructor(server: BenchServer, tokens: string[]) {
    this.#server = server;
    this.#tokens = tokens;
  }

  /** Opens `count` more; answers how long it took, milliseconds. */
  async open(count: number): Promise<number> {
    const { name: server, port } = this.#server;
    const end = this.#openCount + count;
    let tookMs = 0;
    while (this.#openCount < end) {
      const until = Math.min(end, this.#openCount + perLoadProcess);
      const holder = new LoadProcess<ConnectionOrder | 'count', ConnectionReply>('connection-load.ts');
      this.#processes.push(holder);
      const tokens = this.#tokens.slice(this.#openCount, until);
      const localAddress = freshAddress();
      tookMs += (await holder.order({ server, port, tokens, localAddress, atOnce: openAtOnce })).tookMs;
      this.#openCount = until;
    }
    return tookMs;
  }

  async closedCount(): Promise<number> {
    const replies = await Promise.all(this.#processes.map((holder) => holder.order('count')));
    return replies.reduce((sum, reply) => sum + reply.closedCount, 0);
  }

  end(): void {
    for (const holder of this.#processes) holder.end();
  }
}
