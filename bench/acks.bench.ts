/** How many messages a second are committed and acked through the whole server, and how long does an ack take? */
import { secondsOf } from './deliveries.ts';
import type { LogOrder, LogReply } from './load/log-load.ts';
import type { AckOrder, AckReport } from './load/log-orders.ts';
import { LoadProcess } from './load-process.ts';
import type { Bench, Row, Scenario } from './scenario.ts';
import { durableRules, startServer, tokensOf } from './servers.ts';
import { type Backend, backends } from './store-backends.ts';

const publishers = { full: 500, smoke: 5 };
/** Acked a second, at least; the latency is asked at a third of it. */
const demanded = { SQLite: 10_000, PostgreSQL: 15_000 } as const;
const p99MaxMs = 20;
const warmUpSeconds = 3;

export const acks: Scenario = {
  name: 'acks',
  question:
    'How many messages a second are committed and acked through the whole server, and how long does an ack take?',
  async run(bench) {
    for (const backend of await backends(bench)) {
      const { open, name } = backend;
      if (open === undefined) bench.rows([skipped(backend)]);
      else await measureBackend(bench, name, open);
    }
  },
};

async function measureBackend(
  bench: Bench,
  name: keyof typeof demanded,
  open: NonNullable<Backend['open']>,
): Promise<void> {
  const database = await open();
  const server = await startServer('carillon', { CARILLON_CONFIG: durableRules, ...database.settings });
  const load = new LoadProcess<LogOrder, LogReply>('log-load.ts');
  const publisherCount = bench.isSmoke ? publishers.smoke : publishers.full;
  const work = { do: 'acks', port: server.port, tokens: tokensOf(publisherCount), publisherCount } as const;
  const order = async (seconds: number, pace: AckOrder['pace']) =>
    ((await load.order({ ...work, payloadBytes: 100, seconds, pace })) as { acks: AckReport }).acks;
  try {
    bench.progress(`${name}, saturated`);
    if (!bench.isSmoke) await order(warmUpSeconds, { unackedPerPublisher: 4 });
    const setting = `${publisherCount} publishers, 100 B`;
    const before = server.cpuMicroseconds();
    const full = await order(secondsOf(bench, 6), { unackedPerPublisher: 8 });
    const cpu = (server.cpuMicroseconds() - before) / full.acked;
    bench.rows([throughputRow(`${setting}, saturated`, name, full, cpu)]);
    bench.progress(`${name}, at a third of what is demanded`);
    const rate = bench.isSmoke ? 50 : demanded[name] / 3;
    const third = await order(secondsOf(bench, 6), { publishesPerSecond: rate });
    bench.rows([latencyRow(`${setting}, ${Math.round(rate)}/s`, name, third)]);
  } finally {
    load.end();
    await server.stop();
    await database.close();
  }
}

function throughputRow(setting: string, name: keyof typeof demanded, report: AckReport, cpu: number): Row {
  const perSecond = (report.acked / report.tookMs) * 1000;
  return {
    ...{
      setting,
      server: `carillon on ${name}`,
      state: 'measured',
      value: perSecond / 1000,
      unit: 'k acked/s',
    },
    ratios: [
      { against: `${demanded[name] / 1000}k demanded`, ratio: perSecond / demanded[name], atLeast: 1 },
    ],
    note: `p50 ${report.p50Ms.toFixed(1)} ms, p99 ${report.p99Ms.toFixed(1)} ms; ${cpu.toFixed(0)} µs CPU of the server each; ${report.refused} refused`,
  };
}

function latencyRow(setting: string, name: string, report: AckReport): Row {
  return {
    ...{
      setting,
      server: `carillon on ${name}`,
      state: 'measured',
      value: report.p99Ms,
      unit: 'ms to the ack, p99',
    },
    ratios: [{ against: `${p99MaxMs} ms`, ratio: report.p99Ms / p99MaxMs, atMost: 1 }],
    note: `p50 ${report.p50Ms.toFixed(1)} ms; ${report.refused} refused; the load was late by up to ${report.lateMaxMs.toFixed(0)} ms`,
  };
}

function skipped({ name, problem = '' }: Backend): Row {
  const common = { state: 'skipped', value: Number.NaN, unit: '' } as const;
  return { setting: 'acks', server: `carillon on ${name}`, ...common, note: problem };
}
