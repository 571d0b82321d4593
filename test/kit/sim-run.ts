/** One seed → one run → what was wrong with it; and, of what was wrong, a shorter plan that shows it as well. */
import type { SimEvent } from './sim-events.ts';
import { judge, tails } from './sim-judge.ts';
import { type Plan, printOps } from './sim-plan.ts';
import { SimWorld } from './sim-world.ts';

export interface SimResult {
  faults: string[];
  /** What happened how often. */
  counts: ReadonlyMap<string, number>;
  /** All that clients sent and saw. */
  events: readonly SimEvent[];
}

/** Runs of `shrink`: a plan that is not the shortest is found soon enough. */
const shrinkRunsMax = 300;

/** Never rejects: what is thrown is a fault. */
export async function runPlan(plan: Plan): Promise<SimResult> {
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

/** Leaves out operations as long as a run without them is still wrong in the same way. */
export async function shrink<AnyPlan extends { ops: object[] }>(
  plan: AnyPlan,
  run: (plan: AnyPlan) => Promise<{ faults: string[] }>,
  isSame: (faults: string[]) => boolean,
): Promise<AnyPlan> {
  let best = plan;
  let runsLeft = shrinkRunsMax;
  for (let size = Math.ceil(best.ops.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < best.ops.length && runsLeft > 0; runsLeft--) {
      const shorter: AnyPlan = { ...best, ops: best.ops.toSpliced(start, size) };
      const { faults } = await run(shorter);
      if (isSame(faults)) best = shorter;
      else start += size;
    }
  }
  return best;
}

/** Everything that is needed to see it again. */
export function report({ seed, setup, ops }: Plan, faults: readonly string[]): string {
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
