/** What does a delivered message cost the server, when one topic has many subscribers? */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ServerName } from './load/dialects.ts';
import type { FanoutLoad, FanoutResult } from './load/fanout-load.ts';
import { compare, type Row, type Scenario } from './scenario.ts';
import { startServer, tokenOf } from './servers.ts';

interface Setting {
  subscribers: number;
  publishesPerSecond: number;
  payloadBytes: number;
  servers: ServerName[];
  limits: { against: ServerName; atMost: number }[];
}

const limits = (against: ServerName, atMost: number) => [{ against, atMost }];
const settings: Setting[] = [
  {
    subscribers: 500,
    publishesPerSecond: 200,
    payloadBytes: 100,
    servers: ['carillon', 'Socket.IO', 'uWebSockets', 'ws loop'],
    limits: limits('Socket.IO', 0.6),
  },
  {
    subscribers: 500,
    publishesPerSecond: 1000,
    payloadBytes: 100,
    servers: ['carillon', 'uWebSockets'],
    limits: limits('uWebSockets', 0.6),
  },
  {
    subscribers: 500,
    publishesPerSecond: 4000,
    payloadBytes: 100,
    servers: ['carillon', 'uWebSockets'],
    limits: limits('uWebSockets', 0.6),
  },
  {
    subscribers: 500,
    publishesPerSecond: 10_000,
    payloadBytes: 100,
    servers: ['carillon', 'uWebSockets'],
    limits: limits('uWebSockets', 0.6),
  },
  {
    subscribers: 500,
    publishesPerSecond: 1000,
    payloadBytes: 1024,
    servers: ['carillon', 'uWebSockets'],
    limits: [],
  },
];
const smoke: Setting = {
  subscribers: 5,
  publishesPerSecond: 50,
  payloadBytes: 100,
  servers: ['carillon'],
  limits: [],
};

export const fanout: Scenario = {
  name: 'fan-out',
  question: 'What does a delivered message cost the server, when one topic has many subscribers?',
  async run(isSmoke, onRow) {
    const rows: Row[] = [];
    for (const setting of isSmoke ? [smoke] : settings) {
      const group: Row[] = [];
      for (const server of setting.servers) group.push(await measure(server, setting, isSmoke ? 0.5 : 5));
      compare(group, setting.limits);
      for (const row of group) onRow(row);
      rows.push(...group);
    }
    return rows;
  },
};

async function measure(name: ServerName, setting: Setting, seconds: number): Promise<Row> {
  const server = await startServer(name);
  const generator = fork(join(import.meta.dirname, 'load', 'fanout-load.ts'));
  try {
    const { subscribers, publishesPerSecond, payloadBytes } = setting;
    const load: FanoutLoad = {
      server: name,
      port: server.port,
      token: tokenOf('bench'),
      subscribers,
      publishesPerSecond,
      payloadBytes,
      seconds,
    };
    generator.send(load);
    await once(generator, 'message');
    const before = server.cpuMicroseconds();
    generator.send('go');
    const [result] = (await once(generator, 'message')) as [FanoutResult];
    const lost = result.expected - result.delivered;
    return {
      setting: `${subscribers} subscribers, ${publishesPerSecond}/s, ${payloadBytes} B`,
      server: name,
      value: lost > 0 ? Number.NaN : (server.cpuMicroseconds() - before) / result.delivered,
      unit: 'µs CPU/delivery',
      note:
        lost > 0
          ? `void: ${lost} of ${result.expected} not delivered`
          : `p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms`,
    };
  } finally {
    generator.kill();
    await server.stop();
  }
}
