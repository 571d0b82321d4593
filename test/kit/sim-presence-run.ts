/** One seed → one run of presence → what was wrong with it. */
import type { PresenceEvent } from './sim-presence-events.ts';
import { judgeEnd, judgeEvents } from './sim-presence-judge.ts';
import { type PresencePlan, presencePlanOf, printPresenceOps } from './sim-presence-plan.ts';
import { PresenceWorld } from './sim-presence-world.ts';
import type { SimResult, Simulation } from './sim-seeds.ts';

export const simulation: Simulation<PresencePlan> = { planOf: presencePlanOf, runPlan, report, kindOf };

/** Never rejects: what is thrown is a fault. */
async function runPlan(plan: PresencePlan): Promise<SimResult<PresenceEvent>> {
  const world = new PresenceWorld(plan);
  const { faults, counts, events } = world;
  try {
    await world.run();
    if (faults.length === 0) faults.push(...judgeEnd(world), ...judgeEvents(world));
    faults.push(...world.devices.flatMap((device) => device.takeFaults()));
    await world.leave();
  } catch (error) {
    faults.push(`the simulation threw: ${(error as Error).stack}`);
  }
  return { faults, counts, events };
}

/** Everything that is needed to see it again. */
function report({ seed, setup, ops }: PresencePlan, faults: readonly string[]): string {
  const { devices, ...world } = setup;
  const who = devices.map((device, index) => `  p${index} ${JSON.stringify(device)}`);
  const found = faults.slice(0, 8).map((fault) => fault.slice(0, 1000));
  return `SIM_SEED=${seed}\n${found.join('\n')}\n${JSON.stringify(world)}\n${who.join('\n')}\n${printPresenceOps(ops)}`;
}

/** Without names and numbers. */
function kindOf(fault: string): string {
  return fault
    .split('\n')[0]!
    .replaceAll(/"[^"]*"|\d+/g, '#')
    .slice(0, 50);
}
