/** One seed → one run of coming back → what was wrong with it. */
import type { SimEvent } from './sim-events.ts';
import { judge, tails } from './sim-judge.ts';
import { type Plan, planOf, printOps } from './sim-plan.ts';
import type { SimResult, Simulation } from './sim-seeds.ts';
import { SimWorld } from './sim-world.ts';

export const simulation: Simulation<Plan> = { planOf, runPlan, report, kindOf };

/** Never rejects: what is thrown is a fault. */
async function runPlan(plan: Plan): Promise<SimResult<SimEvent>> {
  const world = new SimWorld(plan);
  const { faults, counts, events } = world;
  try {
    await world.run();
    faults.push(...tails(world));
    sentinels(world);
    await world.settle();
    faults.push(...judge(world), ...world.clients.flatMap((client) => client.faults));
    await world.leave();
  } catch (error) {
    faults.push(`the simulation threw: ${(error as Error).stack}`);
  }
  return { faults, counts, events };
}

/** Somebody says something everywhere: whoever believes to be subscribed, and is not, will miss it. */
function sentinels({ clients }: SimWorld): void {
  for (const [index, client] of clients.entries()) {
    for (const { topic } of client.wants) if (index < 2) client.publish(topic, undefined);
    client.direct((clients[(index + 1) % clients.length] as (typeof clients)[0]).who.user);
  }
}

/** Everything that is needed to see it again. */
function report({ seed, setup, ops }: Plan, faults: readonly string[]): string {
  const { clients, ...world } = setup;
  const who = clients.map(({ tenant, user, encoding, wants }, index) => {
    const topics = wants.map(
      ({ topic, filter, isWanted }) => `${isWanted ? '' : '-'}${topic}${filter ? `?${filter}` : ''}`,
    );
    return `  c${index} ${tenant} ${user} ${encoding} ${topics.join(' ')}`;
  });
  const found = faults.slice(0, 8).map((fault) => fault.slice(0, 1000));
  return `SIM_SEED=${seed}\n${found.join('\n')}\n${JSON.stringify(world)}\n${who.join('\n')}\n${printOps(ops)}`;
}

/** Without names and numbers, as far as the first line says it. */
function kindOf(fault: string): string {
  return fault
    .split('\n')[0]!
    .replaceAll(/c\d+|[0-9a-f-]{36}|\d+/g, '#')
    .slice(0, 60);
}
