/** 5,000 sessions lose their connections at once: how soon are they back, and what do others notice of it? */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HashRing } from '../src/routing/hash-ring.ts';
import { freshAddress } from './fresh-address.ts';
import type { ComeBackReport, ReceivedReport, ResumeOrder, ResumeReply } from './load/resume-load.ts';
import { LoadProcess } from './load-process.ts';
import type { Bench, Row, Scenario } from './scenario.ts';
import { type BenchServer, durableRules, startServer, tokensOf } from './servers.ts';
import { othersRow, Steady } from './steady.ts';

interface Size {
  sessions: number;
  rooms: number;
  others: { subscriberCount: number; publishesPerSecond: number };
  /** Before the others' laps, and of the first of them. */
  steadySeconds: number;
}

const full: Size = {
  ...{ sessions: 5000, rooms: 100, steadySeconds: 5 },
  others: { subscriberCount: 200, publishesPerSecond: 1000 },
};
const smoke: Size = {
  ...{ sessions: 20, rooms: 4, steadySeconds: 0.2 },
  others: { subscriberCount: 3, publishesPerSecond: 50 },
};
const backWithinMs = 30_000;
const giveUpMs = 90_000;
const othersRatioMax = 2;
/** What is kept over a restart is written in batches, at least one a second while there are any. */
const keptPollMs = 2000;

export const resume: Scenario = {
  name: 'resume',
  question:
    '5,000 sessions lose their connections at once: how soon are they back, and what do others notice of it?',
  async run(bench) {
    const size = bench.isSmoke ? smoke : full;
    await cutConnections(bench, size);
    await killShard(bench, size);
    await killShardBeside(bench, size);
    await killProcess(bench, size);
  },
};

type ResumeLoad = LoadProcess<ResumeOrder, ResumeReply>;

async function withServer(
  settings: Record<string, string>,
  use: (server: BenchServer, load: ResumeLoad, steady: Steady) => Promise<void>,
): Promise<void> {
  const server = await startServer('carillon', { CARILLON_CONFIG: durableRules, ...settings });
  const load: ResumeLoad = new LoadProcess('resume-load.ts');
  const steady = new Steady();
  try {
    await use(server, load, steady);
  } finally {
    load.end();
    steady.end();
    await server.stop();
  }
}

/** The common case: the network went away and came back; the server is as it was. */
async function cutConnections(bench: Bench, size: Size): Promise<void> {
  const setting = `${size.sessions} connections cut`;
  bench.progress(setting);
  await withServer({}, async (server, load, steady) => {
    await enter(load, server.port, size.sessions, size);
    const others = await startOthers(steady, server, size, 1);
    await load.order({ do: 'cut' });
    await load.order({ do: 'publish' });
    const back = await measureReturn(
      server,
      () => load.order({ do: 'comeBack', timeoutMs: giveUpMs }),
      others,
    );
    const during = await steady.lap();
    const { received } = (await load.order({ do: 'receive', perRoom: 1 })) as Received;
    const report = await steady.stop();
    bench.rows([
      backRow(setting, back, received, 'each missed 2 messages'),
      cpuRow(setting, back),
      storeRow(setting, back),
      othersRow(`${setting}: ${othersText(size)}`, { ...others, during, report }, othersRatioMax),
    ]);
  });
}

/** Twice as many on two shards; the others are on the one that lives, their topic too. */
async function killShard(bench: Bench, size: Size): Promise<void> {
  const setting = `${2 * size.sessions} on 2 shards, one dies`;
  bench.progress(setting);
  await withServer({ SHARDS: '2', FAILPOINTS: 'true' }, async (server, load, steady) => {
    await enter(load, server.port, 2 * size.sessions, size);
    await allKept(server);
    const others = await startOthers(steady, server, size, 2);
    const back = await measureReturn(
      server,
      () => {
        const cameBack = load.order({ do: 'comeBack', timeoutMs: giveUpMs });
        server.breakShard();
        return cameBack;
      },
      others,
    );
    const during = await steady.lap();
    await load.order({ do: 'publish' });
    const { received } = (await load.order({ do: 'receive', perRoom: 1 })) as Received;
    const report = await steady.stop();
    bench.rows([
      backRow(setting, back, received, 'all get messages again'),
      cpuRow(setting, back),
      othersRow(`${setting}: ${othersText(size)}`, { ...others, during, report }, othersRatioMax),
    ]);
  });
}

/** What of it the machine does, and not the server: the same, but those who are timed are on another server beside it. */
async function killShardBeside(bench: Bench, size: Size): Promise<void> {
  const setting = `${2 * size.sessions} on 2 shards of another server, one dies`;
  bench.progress(setting);
  await withServer({}, (beside, _load, steady) =>
    withServer({ SHARDS: '2', FAILPOINTS: 'true' }, async (server, load) => {
      await enter(load, server.port, 2 * size.sessions, size);
      await allKept(server);
      const others = await startOthers(steady, beside, size, 1);
      const cameBack = load.order({ do: 'comeBack', timeoutMs: giveUpMs });
      server.breakShard();
      await cameBack;
      const during = await steady.lap();
      const report = await steady.stop();
      bench.rows([othersRow(`${setting}: ${othersText(size)}`, { ...others, during, report })]);
    }),
  );
}

/** Killed, and started again on the same data: every session comes out of the store. */
async function killProcess(bench: Bench, size: Size): Promise<void> {
  const setting = `${size.sessions} sessions, the process dies`;
  bench.progress(setting);
  const dataDir = mkdtempSync(join(tmpdir(), 'carillon-bench-'));
  // Below Linux's range for outgoing connections: nobody takes it meanwhile.
  const settings = { DATA_DIR: dataDir, PORT: String(randomInt(20_000, 32_768)) };
  try {
    await withServer(settings, async (first, load) => {
      await enter(load, first.port, size.sessions, size);
      await allKept(first);
      const cameBack = load.order({ do: 'comeBack', timeoutMs: giveUpMs });
      await first.stop();
      const second = await startServer('carillon', { CARILLON_CONFIG: durableRules, ...settings });
      try {
        const back = await measureReturn(second, () => cameBack, { cpuPerMs: 0 }, true);
        await load.order({ do: 'publish' });
        const { received } = (await load.order({ do: 'receive', perRoom: 1 })) as Received;
        const note = 'the start of the process is in it; all get messages again';
        bench.rows([backRow(setting, back, received, note), cpuRow(setting, back)]);
      } finally {
        await second.stop();
      }
    });
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function enter(load: ResumeLoad, port: number, count: number, { rooms }: Size): Promise<void> {
  const tokens = tokensOf(count + 1);
  await load.order({ do: 'enter', port, tokens, roomCount: rooms, localAddress: freshAddress() });
}

/** A session is written a second after it came, or later when there are many: one that was not cannot be resumed. */
async function allKept(server: BenchServer): Promise<void> {
  for (let before = -1; ; await sleep(keptPollMs)) {
    const written = await server.storeQueries('keep');
    if (written === before) return;
    before = written;
  }
}

/** Answers how they fare, and what they cost the server. */
async function startOthers(steady: Steady, server: BenchServer, size: Size, shardCount: number) {
  const [token] = tokensOf(1) as [string];
  const topic = topicOnShard0(shardCount);
  await steady.start({ port: server.port, token, topic, payloadBytes: 100, shard: 0, ...size.others });
  await sleep(size.steadySeconds * 1000);
  await steady.lap();
  const [cpuBefore, startedMs] = [server.cpuMicroseconds(), performance.now()];
  await sleep(size.steadySeconds * 1000);
  const cpuPerMs = (server.cpuMicroseconds() - cpuBefore) / (performance.now() - startedMs);
  return { before: await steady.lap(), cpuPerMs };
}

function topicOnShard0(shardCount: number): string {
  const ring = new HashRing(shardCount);
  for (let number = 0; ; number++) {
    if (ring.shardOf(`default|live:others-${number}`) === 0) return `live:others-${number}`;
  }
}

interface MeasuredReturn extends ComeBackReport {
  cpuMicroseconds: number;
  /** Sessions that the store was asked for. */
  keptQueries: number;
  /** Pages of logs, and the ends of those whose topics had nobody left. */
  pageQueries: number;
}

type Received = { received: ReceivedReport };

/** `cpuPerMs` is what the others cost; of a new process all is counted, its start too. */
async function measureReturn(
  server: BenchServer,
  start: () => Promise<ResumeReply>,
  { cpuPerMs }: { cpuPerMs: number },
  isNew = false,
): Promise<MeasuredReturn> {
  const keptBefore = isNew ? 0 : await server.storeQueries('kept');
  const pagesBefore = isNew ? 0 : await server.storeQueries('page');
  const [cpuBefore, startedMs] = [isNew ? 0 : server.cpuMicroseconds(), performance.now()];
  const { cameBack } = (await start()) as { cameBack: ComeBackReport };
  const cpu = server.cpuMicroseconds() - cpuBefore;
  const others = cpuPerMs * (performance.now() - startedMs);
  const keptQueries = (await server.storeQueries('kept')) - keptBefore;
  const pageQueries = (await server.storeQueries('page')) - pagesBefore;
  return { ...cameBack, cpuMicroseconds: Math.max(0, cpu - others), keptQueries, pageQueries };
}

function complaintOf({ returned, complaints }: ComeBackReport): string | undefined {
  const parts = Object.entries(complaints).map(([complaint, count]) => `${count}: ${complaint}`);
  return parts.length === 0 ? undefined : `${returned} came back; ${parts.join(', ')}`;
}

function rowOf(
  setting: string,
  complaint: string | undefined,
  row: Pick<Row, 'value' | 'unit' | 'ratios' | 'note'>,
): Row {
  if (complaint === undefined) return { setting, server: 'carillon', state: 'measured', ...row };
  return {
    setting,
    server: 'carillon',
    state: 'void',
    value: Number.NaN,
    unit: row.unit,
    note: complaint,
  };
}

function backRow(
  setting: string,
  back: MeasuredReturn,
  { delivered, expected, renewed }: ReceivedReport,
  note: string,
): Row {
  const lost = delivered === expected ? undefined : `${delivered} of ${expected} messages came`;
  return rowOf(setting, complaintOf(back) ?? lost, {
    ...{ value: back.tookMs / 1000, unit: 's until all are back' },
    ratios: [{ against: `${backWithinMs / 1000} s`, ratio: back.tookMs / backWithinMs, atMost: 1 }],
    note: `${back.returned} sessions; ${back.keptQueries} were asked of the store; ${note}${renewed === 0 ? '' : `; ${renewed} subscriptions of others were made anew`}`,
  });
}

function cpuRow(setting: string, back: MeasuredReturn): Row {
  const value = back.cpuMicroseconds / back.returned / 1000;
  return rowOf(setting, complaintOf(back), { value, unit: 'ms CPU/resume', note: 'with its handshake' });
}

function storeRow(setting: string, back: MeasuredReturn): Row {
  const ratio = back.keptQueries / back.returned;
  return rowOf(setting, complaintOf(back), {
    ...{ value: back.keptQueries, unit: 'sessions asked of the store' },
    ratios: [{ against: 'resumes', ratio, atMost: 0 }],
    note: `${back.pageQueries} pages were asked for`,
  });
}

function othersText({ others }: Size): string {
  return `${others.subscriberCount} others, ${others.publishesPerSecond}/s`;
}
