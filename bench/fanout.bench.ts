/** What does a delivered message cost the server, when one topic has many subscribers? */
import { measureGroup, oneTopic, secondsOf } from './deliveries.ts';
import type { ServerName } from './load/dialects.ts';
import { candidate } from './measure.ts';
import { type Bench, type Comparison, compare, type Row, type Scenario } from './scenario.ts';

interface Setting {
  subscribers: number;
  publishesPerSecond: number;
  payloadBytes: number;
  servers: ServerName[];
  /** Ours against a peer of the same setting: at most so many times its CPU. */
  atMost?: Partial<Record<ServerName, number>>;
  /** Ours against the cheapest row of a peer so far, whatever its rate was. */
  atMostOfBest?: [peer: ServerName, ratio: number];
}

/** 5,000 subscribers at more than 200/s are more writes than two cores have for a server and its load. */
const settings: Setting[] = [
  {
    ...{ subscribers: 500, publishesPerSecond: 200, payloadBytes: 100 },
    servers: ['carillon', 'Socket.IO', 'uWebSockets', 'ws loop', 'NATS'],
    atMost: { 'Socket.IO': 0.6 },
  },
  {
    ...{ subscribers: 500, publishesPerSecond: 1000, payloadBytes: 100 },
    servers: ['carillon', 'uWebSockets', 'NATS'],
    atMost: { uWebSockets: 0.6 },
  },
  // Rates below and above what Socket.IO can carry, to find the one that is cheapest for it.
  { subscribers: 500, publishesPerSecond: 100, payloadBytes: 100, servers: ['Socket.IO'] },
  { subscribers: 500, publishesPerSecond: 400, payloadBytes: 100, servers: ['Socket.IO'] },
  {
    ...{ subscribers: 500, publishesPerSecond: 4000, payloadBytes: 100 },
    servers: ['carillon', 'uWebSockets', 'NATS'],
    atMost: { uWebSockets: 0.6 },
    atMostOfBest: ['Socket.IO', 0.05],
  },
  {
    ...{ subscribers: 500, publishesPerSecond: 10_000, payloadBytes: 100 },
    servers: ['carillon', 'uWebSockets', 'NATS'],
    atMost: { uWebSockets: 0.6 },
  },
  {
    ...{ subscribers: 500, publishesPerSecond: 1000, payloadBytes: 1024 },
    servers: ['carillon', 'uWebSockets'],
    atMost: {},
  },
  {
    ...{ subscribers: 5000, publishesPerSecond: 200, payloadBytes: 100 },
    servers: ['carillon', 'uWebSockets'],
    atMost: {},
  },
];
const smoke: Setting = { subscribers: 5, publishesPerSecond: 50, payloadBytes: 100, servers: ['carillon'] };

export const fanout: Scenario = {
  name: 'fan-out',
  question: 'What does a delivered message cost the server, when one topic has many subscribers?',
  async run(bench) {
    const rows: Row[] = [];
    for (const setting of bench.isSmoke ? [smoke] : settings)
      rows.push(...(await measureSetting(bench, setting, rows)));
  },
};

async function measureSetting(bench: Bench, setting: Setting, before: Row[]): Promise<Row[]> {
  const { subscribers, publishesPerSecond, payloadBytes, servers, atMost = {} } = setting;
  const comparisons = servers
    .filter((server) => server !== 'carillon' && setting.atMost !== undefined)
    .map((against): Comparison => ({ server: 'carillon', against, ...boundOf(atMost[against]) }));
  return measureGroup(
    {
      ...bench,
      rows(rows) {
        if (setting.atMostOfBest !== undefined) compareWithBest(rows, before, ...setting.atMostOfBest);
        bench.rows(rows);
      },
    },
    {
      setting: `${subscribers} subscribers, ${publishesPerSecond}/s, ${payloadBytes} B`,
      candidates: servers.map((server) => candidate(server)),
      work: {
        ...oneTopic(subscribers),
        publisherCount: 1,
        payloadBytes,
        seconds: secondsOf(bench, 4),
        pace: { publishesPerSecond },
      },
      comparisons,
    },
  );
}

function boundOf(atMost: number | undefined): { atMost?: number } {
  return atMost === undefined ? {} : { atMost };
}

function compareWithBest(rows: Row[], before: Row[], peer: ServerName, atMost: number): void {
  const best = before
    .filter((row) => row.server === peer && row.state === 'measured')
    .sort((a, b) => a.value - b.value)[0];
  if (best === undefined) return;
  const against = `${peer} at the best of these rates (${best.setting})`;
  compare([...rows, { ...best, server: against }], [{ server: 'carillon', against, atMost }]);
}
