/**
 * Many seeds of a simulation, on every core; and of what was wrong with one, the shortest plan that was found to show it.
 * `SIM_SEEDS=n`: so many seeds. `SIM_SEED=n`: that one, with what it takes to see it again.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

export interface SimResult<Event = unknown> {
  faults: string[];
  /** What happened how often. */
  counts: ReadonlyMap<string, number>;
  /** All that clients sent and saw. */
  events: readonly Event[];
}

/** What a module of a simulation exports as `simulation`. */
export interface Simulation<AnyPlan extends { ops: object[] } = { ops: object[] }> {
  planOf(seed: number): AnyPlan;
  /** Never rejects: what is thrown is a fault. */
  runPlan(plan: AnyPlan): Promise<SimResult>;
  /** Everything that is needed to see it again. */
  report(plan: AnyPlan, faults: readonly string[]): string;
  /** A fault without names and numbers: the same in another run. */
  kindOf(fault: string): string;
}

export interface SeedClaims {
  seedCount: number;
  /** Of all seeds. */
  claim: string;
  /**
   * Seeds that show a fault of the past when it is put back, and what it was. They belong to the plans of today: when
   * those change they are runs like any other.
   */
  found: readonly (readonly [seed: number, claim: string])[];
  /** The rules that those stand for. */
  foundRules: string;
}

/** A thread's share of the seeds. */
export interface SeedsReport {
  failures: string[];
  counts: [string, number][];
}

export interface SeedsTask {
  module: string;
  seedCount: number;
  /** Of all threads: the next seed, and how many failed. */
  shared: Int32Array;
}

/** More of them say no more. */
export const reportedMax = 3;
/** Runs of `shortest`: a plan that is not the shortest is found soon enough. */
const shrinkRunsMax = 300;

/** The tests of the simulation that `module` exports. */
export async function testSeeds(
  module: URL,
  { seedCount, claim, found, foundRules }: SeedClaims,
): Promise<void> {
  const { simulation } = (await import(module.href)) as { simulation: Simulation };
  const { SIM_SEED: only, SIM_SEEDS: count = String(seedCount) } = process.env;
  if (only !== undefined) {
    test(`seed ${only}`, async () => assert.equal(await failureOf(simulation, Number(only)), undefined));
    return;
  }
  assert.match(count, /^[1-9]\d*$/, 'SIM_SEEDS');
  for (const [seed, was] of found) {
    test(`${foundRules} seed ${seed}: ${was}`, async () => {
      assert.equal(await failureOf(simulation, seed), undefined);
    });
  }
  test(claim.replace('#', count), async (t) => {
    const { failures, counts } = await runSeeds(module, Number(count));
    t.diagnostic(JSON.stringify(Object.fromEntries([...counts].sort())));
    assert.equal(failures.join('\n\n'), '');
  });
  test('the same seed is the same run', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const [one, other] = [
        await simulation.runPlan(simulation.planOf(seed)),
        await simulation.runPlan(simulation.planOf(seed)),
      ];
      assert.ok(one.events.length > 0);
      assert.deepEqual(one.events, other.events);
    }
  });
}

export async function failureOf(simulation: Simulation, seed: number): Promise<string | undefined> {
  const plan = simulation.planOf(seed);
  const { faults } = await simulation.runPlan(plan);
  if (faults.length === 0) return undefined;
  const kinds = new Set(faults.map(simulation.kindOf));
  const best = await shortest(plan, simulation, (fault) => kinds.has(simulation.kindOf(fault)));
  return simulation.report(best, (await simulation.runPlan(best)).faults);
}

async function runSeeds(module: URL, seedCount: number): Promise<SeedsReport> {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const workerData: SeedsTask = { module: module.href, seedCount, shared };
  const threads = Array.from({ length: availableParallelism() }, async () => {
    const worker = new Worker(new URL('./sim-seeds-thread.ts', import.meta.url), { workerData });
    const [report] = (await once(worker, 'message')) as [SeedsReport];
    await worker.terminate();
    return report;
  });
  const reports = await Promise.all(threads);
  const counts = new Map<string, number>();
  for (const [name, times] of reports.flatMap((report) => report.counts))
    counts.set(name, (counts.get(name) ?? 0) + times);
  return { failures: reports.flatMap(({ failures }) => failures), counts: [...counts] };
}

/** Leaves out operations as long as a run without them is still wrong in the same way. */
async function shortest(
  plan: { ops: object[] },
  { runPlan }: Simulation,
  isSame: (fault: string) => boolean,
): Promise<{ ops: object[] }> {
  let best = plan;
  let runsLeft = shrinkRunsMax;
  for (let size = Math.ceil(best.ops.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < best.ops.length && runsLeft > 0; runsLeft--) {
      const shorter = { ...best, ops: best.ops.toSpliced(start, size) };
      const { faults } = await runPlan(shorter);
      if (faults.some(isSame)) best = shorter;
      else start += size;
    }
  }
  return best;
}
