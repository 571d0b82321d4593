/** Groups of measurements that are compared: the same work for several servers, each with a row. */
import { type Candidate, type Measurement, measure, rowOf, type Work } from './measure.ts';
import { peerProblem } from './peers.ts';
import { type Bench, type Comparison, compare, type Row } from './scenario.ts';

/** What the row of a measurement says; CPU per delivery unless a scenario asks for something else. */
type Figure = (measurement: Measurement) => [value: number, unit: string];

const cpuPerDelivery: Figure = ({ cpuMicrosecondsPerDelivery }) => [
  cpuMicrosecondsPerDelivery,
  'µs CPU/delivery',
];

export interface Group {
  setting: string;
  candidates: Candidate[];
  work: Work;
  comparisons?: Comparison[];
  figure?: Figure;
}

/** Where a bound is judged, so many rounds, one candidate after the other in each: the median counts, the spread is told. */
export const judgedRounds = 3;

/** Measures the candidates, compares, and hands the rows on. */
export async function measureGroup(bench: Bench, group: Group): Promise<Row[]> {
  const { setting, candidates, comparisons = [] } = group;
  const isJudged = comparisons.some(({ atMost, atLeast }) => atMost !== undefined || atLeast !== undefined);
  const tries = new Map<Candidate, Row[]>();
  for (let round = 1; round <= (isJudged && !bench.isSmoke ? judgedRounds : 1); round++) {
    for (const candidate of runnable(bench, candidates)) {
      bench.progress(`${setting}, ${candidate.label}, round ${round}`);
      tries.set(candidate, [...(tries.get(candidate) ?? []), await measureOnce(group, candidate)]);
    }
  }
  const rows = [...tries.values()].map(medianOf);
  compare(rows, comparisons);
  bench.rows(rows);
  return rows;
}

async function measureOnce(
  { setting, work, figure = cpuPerDelivery }: Group,
  candidate: Candidate,
): Promise<Row> {
  const skipped = skippedRow(setting, candidate);
  if (skipped !== undefined) return skipped;
  const measurement = await measure(candidate, work);
  return rowOf(setting, candidate, measurement, figure(measurement));
}

/** A void one counts for all: a server that loses messages now and then loses messages. */
export function medianOf(rows: Row[]): Row {
  const unmeasured = rows.find(({ state }) => state !== 'measured');
  if (unmeasured !== undefined) return unmeasured;
  const sorted = [...rows].sort((a, b) => a.value - b.value);
  const median = sorted[Math.floor(sorted.length / 2)] as Row;
  if (rows.length === 1) return median;
  const [least, most] = [sorted[0]!.value, sorted.at(-1)!.value].map((value) => value.toPrecision(3));
  return { ...median, note: `${least} to ${most}${median.note === undefined ? '' : `; ${median.note}`}` };
}

/** A smoke is over before a figure could mean something. */
export function secondsOf(bench: Bench, seconds: number): number {
  return bench.isSmoke ? 0.2 : seconds;
}

/** A smoke needs no peers. */
export function runnable(bench: Bench, candidates: Candidate[]): Candidate[] {
  return bench.isSmoke ? candidates.filter(({ server }) => server === 'carillon') : candidates;
}

/** A loud row in the place of figures, where the server cannot run here. */
export function skippedRow(setting: string, { server, label }: Candidate): Row | undefined {
  const note = server === 'carillon' ? undefined : peerProblem(server);
  return note === undefined
    ? undefined
    : { setting, server: label, state: 'skipped', value: Number.NaN, unit: '', note };
}

/** `clientCount` clients that all listen to the one topic. */
export function oneTopic(clientCount: number): Pick<Work, 'kind' | 'targetsOf' | 'targetCount'> {
  return { kind: 'topics', targetsOf: Array.from({ length: clientCount }, () => [0]), targetCount: 1 };
}

/** As many users as clients, each of them reachable by its name. */
export function users(clientCount: number): Pick<Work, 'kind' | 'targetsOf' | 'targetCount'> {
  const targetsOf = Array.from({ length: clientCount }, (_, index) => [index]);
  return { kind: 'users', targetsOf, targetCount: clientCount };
}
