/** What does it cost when 10,000 users come and go within a minute, each of them watched by 20? */
import { setTimeout as sleep } from 'node:timers/promises';
import { freshAddress } from './fresh-address.ts';
import type { PeopleOrder, PeopleReply, StormReport } from './load/people-load.ts';
import { LoadProcess } from './load-process.ts';
import type { Bench, Row, Scenario } from './scenario.ts';
import { type BenchServer, startServer, tokensOf } from './servers.ts';

interface Size {
  users: number;
  watchers: number;
  watchersPerUser: number;
  /** Over which they come, one after the other. */
  arrivalMs: number;
  stayMs: number;
  /** For garbage to be collected. */
  settleMs: number;
}

/** A watcher follows as many users as a connection may (MAX_WATCHED_USERS); some 3,300 users are there at once. */
const full: Size = {
  ...{ users: 10_000, watchers: 200, watchersPerUser: 20 },
  ...{ arrivalMs: 45_000, stayMs: 15_000, settleMs: 10_000 },
};
const smoke: Size = {
  ...{ users: 20, watchers: 10, watchersPerUser: 5 },
  ...{ arrivalMs: 200, stayMs: 400, settleMs: 0 },
};
/** Memory that nobody uses any more is not all given back. */
const memoryRatioMax = 1.1;
const sampleEveryMs = 250;

export const presence: Scenario = {
  name: 'presence',
  question: 'What does it cost when 10,000 users come and go within a minute, each of them watched by 20?',
  async run(bench) {
    const size = bench.isSmoke ? smoke : full;
    const server = await startServer('carillon');
    const load = new LoadProcess<PeopleOrder, PeopleReply>('people-load.ts');
    try {
      await measure(bench, size, server, load);
    } finally {
      load.end();
      await server.stop();
    }
  },
};

type PeopleLoad = LoadProcess<PeopleOrder, PeopleReply>;

async function measure(bench: Bench, size: Size, server: BenchServer, load: PeopleLoad): Promise<void> {
  const { users, watchers, watchersPerUser, settleMs, arrivalMs, stayMs } = size;
  const tokens = tokensOf(users + watchers);
  const crowd = { server, load, size, tokens: tokens.slice(0, users) };
  bench.progress('nobody watches');
  await raise({ ...crowd, ...warmUpOf(crowd) }, 0);
  // The same before: heaps have grown, and coming and going has its own figure.
  const unwatched = await raise(crowd, 0);
  await load.order({
    ...{ do: 'watch', port: server.port, tokens: tokens.slice(users), userCount: users, watchersPerUser },
    localAddress: freshAddress(),
  });
  await sleep(settleMs);
  const residentBefore = server.residentBytes();
  bench.progress('watched');
  const watched = await raise(crowd, 2 * watchersPerUser);
  await sleep(settleMs);
  const resident = { before: residentBefore, peak: watched.residentPeak, after: server.residentBytes() };
  const setting = `${users} users in ${(arrivalMs + stayMs) / 1000} s, each watched by ${watchersPerUser}`;
  bench.rows([
    cpuRow(`${users} users, watched by nobody`, unwatched, users),
    changeRow(setting, watched, unwatched),
    latencyRow(setting, watched),
    memoryRow(`${setting}: memory`, resident),
  ]);
}

/** Shorter visits of fewer, at the same rate. */
function warmUpOf({ size, tokens }: { size: Size; tokens: string[] }) {
  const { users, arrivalMs, stayMs } = size;
  return {
    tokens: tokens.slice(0, users / 5),
    size: { ...size, arrivalMs: arrivalMs / 5, stayMs: stayMs / 5 },
  };
}

interface Storm {
  report: StormReport;
  cpuMicroseconds: number;
  residentPeak: number;
}

async function raise(
  { server, load, size, tokens }: { server: BenchServer; load: PeopleLoad; size: Size; tokens: string[] },
  eventsPerUser: number,
): Promise<Storm> {
  let residentPeak = 0;
  const sampler = setInterval(() => {
    residentPeak = Math.max(residentPeak, server.residentBytes());
  }, sampleEveryMs);
  const { arrivalMs, stayMs } = size;
  const before = server.cpuMicroseconds();
  try {
    const { storm: report } = (await load.order({
      ...{ do: 'storm', port: server.port, tokens, arrivalMs, stayMs, eventsPerUser },
      localAddress: freshAddress(),
    })) as { storm: StormReport };
    return { report, cpuMicroseconds: server.cpuMicroseconds() - before, residentPeak };
  } finally {
    clearInterval(sampler);
  }
}

function complaintOf({ told, expected, wrongWatcherCount, closedWatcherCount }: StormReport) {
  if (closedWatcherCount > 0) return `${closedWatcherCount} watchers were closed by the server`;
  if (told !== expected) return `${told} of ${expected} changes were told`;
  return wrongWatcherCount > 0 ? `${wrongWatcherCount} watchers were told more or less` : undefined;
}

function rowOf(
  setting: string,
  { report }: Storm,
  [value, unit]: [value: number, unit: string],
  note: string,
): Row {
  const complaint = complaintOf(report);
  const row = { setting, server: 'carillon', unit };
  return complaint === undefined
    ? { ...row, state: 'measured', value, note }
    : { ...row, state: 'void', value: Number.NaN, note: complaint };
}

function cpuRow(setting: string, storm: Storm, users: number): Row {
  const perUser = storm.cpuMicroseconds / users / 1000;
  return rowOf(setting, storm, [perUser, 'ms CPU/user'], 'handshake, token, session, goodbye');
}

/** Coming and going is in it, and is most of it: the ratio says what it costs that somebody watches. */
function changeRow(setting: string, watched: Storm, unwatched: Storm): Row {
  const { told, hereMax } = watched.report;
  const note = `${told} changes told, with the coming and going itself; at most ${hereMax} were there`;
  const row = rowOf(setting, watched, [watched.cpuMicroseconds / told, 'µs CPU/change told'], note);
  const ratio = watched.cpuMicroseconds / unwatched.cpuMicroseconds;
  return { ...row, ratios: [{ against: 'the same unwatched', ratio }] };
}

function latencyRow(setting: string, storm: Storm): Row {
  const { came, went, lateMaxMs } = storm.report;
  const note =
    `of which up to 100 are the window in which changes are told together; p50 ${came.p50Ms.toFixed(0)}; goodbye to ` +
    `event p50 ${went.p50Ms.toFixed(0)}, p99 ${went.p99Ms.toFixed(0)} ms; the load fell behind by up to ${lateMaxMs.toFixed(0)} ms`;
  return rowOf(setting, storm, [came.p99Ms, 'ms from connect to event, p99'], note);
}

function memoryRow(
  setting: string,
  { before, peak, after }: Record<'before' | 'peak' | 'after', number>,
): Row {
  const megabytes = (bytes: number) => bytes / 1024 ** 2;
  return {
    ...{
      setting,
      server: 'carillon',
      state: 'measured',
      value: megabytes(after),
      unit: 'MB when all have left',
    },
    ratios: [{ against: 'before', ratio: after / before, atMost: memoryRatioMax }],
    note: `before ${megabytes(before).toFixed(0)} MB, at the peak ${megabytes(peak).toFixed(0)} MB`,
  };
}
