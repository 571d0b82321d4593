/** What happens in a simulation, from its seed: the world it begins with, and a list of operations with their times. */
import type { Encoding } from '#proto/envelope.ts';
import { Dice } from './sim-random.ts';
import { type ServerSetup, storeThread } from './sim-threads.ts';

export interface PlannedClient {
  tenant: string;
  user: string;
  encoding: Encoding;
  wants: { topic: string; filter: string | undefined; isWanted: boolean }[];
}

export interface Setup extends ServerSetup {
  outboxBytesMax: number;
  /** What is beyond counts as on its way to a client. */
  kernelBytes: number;
  /** Beside a message, so that a few of them are more than one answer carries. */
  padBytes: number;
  /** How likely it is that an actor gets its turn in a tick. */
  runChance: number;
  clients: PlannedClient[];
}

export type SimOp = { atTick: number } & (
  | { do: 'publish'; client: number; topic: string; event: string | undefined; count: number }
  | { do: 'direct'; client: number; to: number; count: number }
  | { do: 'edit' | 'delete'; client: number; choice: number }
  | { do: 'drop'; client: number }
  | { do: 'toggle'; client: number; want: number }
  /** Away and back at once, or the other way round. */
  | { do: 'flicker'; client: number; want: number; ticks: number }
  | { do: 'mark'; client: number; topic: string }
  | { do: 'deafen'; client: number; ticks: number }
  /** The store may be busy until after the restart: what the dead one asked for is done behind what its successor asks. */
  | { do: 'killShard'; shard: number; effects: number; downTicks: number; isStoreSlow: boolean }
  | { do: 'killStore'; effects: number; downTicks: number }
  | { do: 'storeAway'; ticks: number }
  | { do: 'fill'; from: number; to: number; ticks: number }
  | { do: 'stall'; thread: number; ticks: number }
  | { do: 'prune'; topic: string; keep: number }
  | { do: 'pass'; seconds: number }
);

export interface Plan {
  seed: number;
  setup: Setup;
  ops: SimOp[];
}

const topics = ['chat:0', 'chat:1', 'cache:0'];
const weights = {
  ...{ publish: 34, direct: 15, edit: 5, delete: 3, drop: 10, toggle: 5, flicker: 3, mark: 3, deafen: 4 },
  ...{ killShard: 3, killStore: 3, storeAway: 2, fill: 5, stall: 4, prune: 1.2, pass: 0.3 },
};

export function planOf(seed: number): Plan {
  const dice = new Dice(seed, 1);
  const setup = setupOf(dice);
  const ops: SimOp[] = [];
  let atTick = 10;
  for (let left = dice.between(14, 34); left > 0; left--) {
    atTick += dice.chance(0.6)
      ? dice.between(0, 2)
      : dice.chance(0.8)
        ? dice.between(3, 10)
        : dice.between(15, 60);
    ops.push({ atTick, ...opOf(dice, setup) } as SimOp);
  }
  return { seed, setup, ops };
}

function setupOf(dice: Dice): Setup {
  const isBulky = dice.chance(0.1);
  const tenants = dice.chance(0.15) ? ['t1', 't2'] : ['t1'];
  const clients = Array.from({ length: dice.between(3, 6) }, (_, index): PlannedClient => {
    // A few users have two devices.
    const user = `u${dice.chance(0.25) ? dice.between(0, index) : index}`;
    const encoding = dice.chance(0.7) ? 'json' : 'msgpack';
    const wants = topics.map((topic) => {
      // Of a cached topic nobody but its home knows what a filter left out.
      const filter = dice.chance(0.15) && topic !== 'cache:0' ? dice.pick(['a', 'b']) : undefined;
      return { topic, filter, isWanted: dice.chance(0.6) };
    });
    return { tenant: dice.pick(tenants), user, encoding, wants };
  });
  return {
    shardCount: dice.pick([2, 2, 3]),
    storeKind: dice.pick(['sqlite', 'postgres', 'postgres']),
    storeJobsMax: dice.pick([4, 1]),
    windowBytesMax: dice.pick([64 * 1024 ** 2, 64 * 1024 ** 2, 12_000, 5_000]),
    outboxBytesMax: isBulky ? 160_000 : 1024 ** 2,
    kernelBytes: isBulky ? 20_000 : 1024 ** 2,
    ringRecordsMax: dice.pick([1000, 1000, 4, 1]),
    padBytes: isBulky ? dice.pick([6000, 12_000, 30_000]) : 0,
    runChance: dice.pick([0.4, 0.7, 1]),
    clients,
  };
}

/** An operation without its time. */
function opOf(dice: Dice, { shardCount, clients }: Setup): object {
  const client = dice.below(clients.length);
  const threads = [...Array(shardCount).keys(), storeThread];
  const name = dice.draw(weights);
  const ticks = dice.pick([2, 10, 40, 100]);
  const effects = dice.pick([0, 0, 1, 2, 3, 5, 8, 13, 1000]);
  const downTicks = dice.pick([5, 20, 60]);
  switch (name) {
    case 'publish': {
      const event = dice.pick(['a', 'b', undefined]);
      return { do: name, client, topic: dice.pick(topics), event, count: dice.pick([1, 1, 1, 2, 4]) };
    }
    case 'direct':
      return { do: name, client, to: dice.below(clients.length), count: dice.pick([1, 1, 2]) };
    case 'edit':
    case 'delete':
      return { do: name, client, choice: dice.below(100) };
    case 'drop':
      return { do: name, client };
    case 'toggle':
      return { do: name, client, want: dice.below(topics.length) };
    case 'flicker':
      return { do: name, client, want: dice.below(topics.length), ticks: dice.between(1, 4) };
    case 'mark':
      return { do: name, client, topic: dice.pick(['chat:0', 'inbox']) };
    case 'deafen':
      return { do: name, client, ticks };
    case 'killShard':
      return { do: name, shard: dice.below(shardCount), effects, downTicks, isStoreSlow: dice.chance(0.4) };
    case 'killStore':
      return { do: name, effects, downTicks };
    case 'storeAway':
      return { do: name, ticks };
    case 'fill': {
      const [from, to] = dice.shuffle([...threads]);
      return { do: name, from, to, ticks };
    }
    case 'stall':
      return { do: name, thread: dice.pick(threads), ticks };
    case 'prune':
      return {
        do: name,
        topic: dice.pick(['chat:0', 'chat:1', `inbox:u${client}`]),
        keep: dice.between(1, 4),
      };
    case 'pass':
      return { do: name, seconds: dice.pick([20, 90, 320]) };
  }
}

export function printOps(ops: readonly SimOp[]): string {
  return ops
    .map(({ atTick, do: name, ...fields }) => `  ${atTick} ${name} ${JSON.stringify(fields)}`)
    .join('\n');
}
