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

/** Measures one candidate after the other, compares, and hands the rows on. */
export async function measureGroup(bench: Bench, group: Group): Promise<Row[]> {
  const { setting, candidates, work, comparisons = [], figure = cpuPerDelivery } = group;
  const rows: Row[] = [];
  for (const candidate of runnable(bench, candidates)) {
    bench.progress(`${setting}, ${candidate.label}`);
    rows.push(
      skippedRow(setting, candidate) ??
        (await measure(candidate, work).then((measurement) =>
          rowOf(setting, candidate, measurement, figure(measurement)),
        )),
    );
  }
  compare(rows, comparisons);
  bench.rows(rows);
  return rows;
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
