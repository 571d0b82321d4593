/** One of the threads of sim-seeds.ts: takes seeds until there are no more, or enough have failed. */
import { parentPort, workerData } from 'node:worker_threads';
import { failureOf, reportedMax, type SeedsReport, type SeedsTask, type Simulation } from './sim-seeds.ts';

const { module, seedCount, shared } = workerData as SeedsTask;
const { simulation } = (await import(module)) as { simulation: Simulation };
const failures: string[] = [];
const counts = new Map<string, number>();
const next = () => Atomics.add(shared, 0, 1) + 1;
for (let seed = next(); seed <= seedCount && Atomics.load(shared, 1) < reportedMax; seed = next()) {
  const { faults, counts: happened } = await simulation.runPlan(simulation.planOf(seed));
  for (const [name, times] of happened) counts.set(name, (counts.get(name) ?? 0) + times);
  if (faults.length === 0) continue;
  Atomics.add(shared, 1, 1);
  failures.push((await failureOf(simulation, seed)) ?? `SIM_SEED=${seed} is not the same twice`);
}
parentPort?.postMessage({ failures, counts: [...counts] } satisfies SeedsReport);
