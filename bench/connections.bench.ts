/** What does a connection cost: CPU for its handshake, memory while it is idle? */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionLoad } from './load/connection-load.ts';
import type { ServerName } from './load/dialects.ts';
import { compare, type Row, type Scenario } from './scenario.ts';
import { startServer, tokenOf } from './servers.ts';

const servers: ServerName[] = ['carillon', 'ws loop', 'Socket.IO'];
/** Warmed up by so many, so that code is compiled and heaps have grown; then so many are measured. */
const warmUp = 2_000;
const measured = 8_000;
/** Time for the garbage of handshakes to be collected, milliseconds. */
const settleMs = 3_000;

export const connections: Scenario = {
  name: 'connections',
  question: 'What does a connection cost: CPU for its handshake, memory while it is idle?',
  async run(isSmoke, onRow) {
    const results = [];
    for (const server of isSmoke ? (['carillon'] as const) : servers) {
      results.push(await measure(server, isSmoke ? 10 : warmUp, isSmoke ? 20 : measured));
    }
    const [handshakes, memory] = [results.map((pair) => pair[0]), results.map((pair) => pair[1])];
    compare(handshakes, [{ against: 'ws loop', atMost: 1.5 }]);
    compare(memory, [{ against: 'ws loop', atMost: 1.3 }]);
    const rows = [...handshakes, ...memory];
    for (const row of rows) onRow(row);
    return rows;
  },
};

async function measure(
  name: ServerName,
  warmUpCount: number,
  count: number,
): Promise<[handshake: Row, memory: Row]> {
  const server = await startServer(name);
  const generators = [warmUpCount, count].map(() =>
    fork(join(import.meta.dirname, 'load', 'connection-load.ts')),
  );
  try {
    const tokens = Array.from({ length: count }, (_, index) => tokenOf(`user-${index}`));
    const load: ConnectionLoad = {
      server: name,
      port: server.port,
      tokens,
      connections: warmUpCount,
      atOnce: 50,
    };
    await open(generators[0]!, load);
    await sleep(settleMs);
    const [cpuBefore, residentBefore] = [server.cpuMicroseconds(), server.residentBytes()];
    await open(generators[1]!, { ...load, connections: count });
    const cpu = server.cpuMicroseconds() - cpuBefore;
    await sleep(settleMs);
    const setting = `${count} connections${name === 'carillon' ? ', each with a token of its own' : ''}`;
    return [
      { setting: `handshake, ${setting}`, server: name, value: cpu / count / 1000, unit: 'ms CPU/handshake' },
      {
        setting: `idle, ${setting}`,
        server: name,
        value: (server.residentBytes() - residentBefore) / count / 1024,
        unit: 'KB/connection',
      },
    ];
  } finally {
    for (const generator of generators) generator.kill();
    await server.stop();
  }
}

async function open(generator: ReturnType<typeof fork>, load: ConnectionLoad): Promise<void> {
  generator.send(load);
  await once(generator, 'message');
}
