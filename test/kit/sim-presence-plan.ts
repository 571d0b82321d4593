/** What happens to devices, users and topics in a simulation of presence, from its seed. */

import type { Encoding } from '#proto/envelope.ts';
import type { PresenceStatus } from '#proto/fields.ts';
import { Dice } from './sim-random.ts';
import { type ServerSetup, storeThread } from './sim-threads.ts';

export interface PlannedDevice {
  user: string;
  encoding: Encoding;
  /** As the client says; undefined: it does not say. */
  deviceId: string | undefined;
  /** From the start on. */
  isHere: boolean;
}

export interface PresenceSetup extends ServerSetup {
  graceMs: number;
  ttlMs: number;
  awayAfterMs: number;
  /** How likely it is that an actor gets its turn in a tick. */
  runChance: number;
  devices: PlannedDevice[];
}

/** How a device comes back. */
export interface Return {
  /** Without it: a new connection that knows nothing. */
  isResumed: boolean;
  hasPositions: boolean;
  /** Two connections ask for the same session. */
  isTwice: boolean;
  /** By the name of the session before, where there was one. */
  isByFormer: boolean;
  afterTicks: number;
}

export type PresenceOp = { atTick: number } & (
  | { do: 'lose'; device: number; how: 'cut' | 'silent' | 'open'; back: Return | undefined }
  | { do: 'goodbye' | 'come'; device: number }
  | { do: 'status'; device: number; status: PresenceStatus }
  | { do: 'follow'; device: number; user: string; isOn: boolean }
  | { do: 'topic'; device: number; topic: string; isOn: boolean }
  | { do: 'publish'; device: number; topic: string; count: number }
  | { do: 'direct'; user: string; count: number }
  | { do: 'killShard'; shard: number; effects: number; downTicks: number }
  | { do: 'killStore'; effects: number; downTicks: number }
  | { do: 'storeAway'; ticks: number }
  | { do: 'fill'; from: number; to: number; ticks: number }
  | { do: 'stall'; thread: number; ticks: number }
);

export interface PresencePlan {
  seed: number;
  setup: PresenceSetup;
  ops: PresenceOp[];
}

/** Who sends what lands in inboxes; nobody takes their connection away, but the shards that die. */
export const senderUser = 'sender';
export const simTopics = ['chat:0', 'cache:0', 'live:0', 'live:1'];
const statuses: PresenceStatus[] = ['online', 'away', 'busy', 'invisible'];
const peace = {
  ...{ lose: 30, goodbye: 5, come: 8, status: 12, follow: 14, topic: 14, publish: 10, direct: 6 },
  ...{ killShard: 0, killStore: 0, storeAway: 0, fill: 0, stall: 0 },
};
const weights = {
  deaths: { ...peace, killShard: 7 },
  trouble: { ...peace, killShard: 5, killStore: 2, storeAway: 2, fill: 5, stall: 4 },
  peace,
};

export function presencePlanOf(seed: number): PresencePlan {
  const dice = new Dice(seed, 7);
  const setup = setupOf(dice);
  const ops: PresenceOp[] = [];
  // Everybody is somewhere and sees somebody, so that there is something to lose.
  for (const [device] of setup.devices.entries()) {
    for (let left = 2; left > 0; left--)
      ops.push({ atTick: 5, do: 'follow', device, user: userOf(dice, setup), isOn: true });
    ops.push({ atTick: 5, do: 'topic', device, topic: dice.pick(simTopics), isOn: true });
  }
  const weight = weights[dice.pick(['peace', 'deaths', 'deaths', 'trouble'] as const)];
  let atTick = 30;
  for (let left = dice.between(8, 24); left > 0; left--) {
    atTick += dice.chance(0.6)
      ? dice.between(0, 4)
      : dice.chance(0.8)
        ? dice.between(5, 25)
        : dice.between(30, 120);
    ops.push({ atTick, ...opOf(dice, setup, weight) } as PresenceOp);
  }
  return { seed, setup, ops };
}

function setupOf(dice: Dice): PresenceSetup {
  const users = Array.from({ length: dice.between(2, 4) }, (_, index) => `u${index}`);
  const devices = users.flatMap((user) =>
    Array.from({ length: dice.pick([1, 1, 2, 3]) }, (_, index): PlannedDevice => {
      const deviceId = dice.chance(0.6) ? `d${index}` : undefined;
      const encoding = dice.chance(0.7) ? 'json' : 'msgpack';
      return { user, encoding, deviceId, isHere: dice.chance(0.8) };
    }),
  );
  devices.push({ user: senderUser, encoding: 'json', deviceId: undefined, isHere: true });
  return {
    shardCount: dice.pick([2, 2, 3]),
    storeKind: dice.pick(['sqlite', 'postgres']),
    storeJobsMax: dice.pick([4, 1]),
    windowBytesMax: dice.pick([64 * 1024 ** 2, 64 * 1024 ** 2, 5_000]),
    ringRecordsMax: dice.pick([1000, 1000, 4, 1]),
    graceMs: dice.pick([1000, 3000]),
    ttlMs: dice.pick([5000, 20_000]),
    awayAfterMs: dice.pick([2500, 7000, 600_000]),
    runChance: dice.pick([0.5, 1, 1]),
    devices,
  };
}

function userOf(dice: Dice, { devices }: PresenceSetup): string {
  return dice.pick(devices).user;
}

/** An operation without its time. */
function opOf(dice: Dice, setup: PresenceSetup, weight: Record<PresenceOp['do'], number>): object {
  const { devices, shardCount } = setup;
  const device = dice.below(devices.length - 1);
  const threads = [...Array(shardCount).keys(), storeThread];
  const name = dice.draw(weight);
  const effects = dice.pick([0, 0, 1, 2, 3, 5, 8, 1000]);
  switch (name) {
    case 'lose': {
      const how = dice.pick(['cut', 'cut', 'silent', 'open']);
      return { do: name, device, how, back: dice.chance(0.85) ? returnOf(dice) : undefined };
    }
    case 'goodbye':
    case 'come':
      return { do: name, device };
    case 'status':
      return { do: name, device, status: dice.pick(statuses) };
    case 'follow':
      return { do: name, device, user: userOf(dice, setup), isOn: dice.chance(0.75) };
    case 'topic':
      return { do: name, device, topic: dice.pick(simTopics), isOn: dice.chance(0.75) };
    case 'publish':
      return { do: name, device, topic: dice.pick(simTopics), count: dice.between(1, 3) };
    case 'direct':
      return { do: name, user: userOf(dice, setup), count: dice.between(1, 3) };
    case 'killShard':
      return { do: name, shard: dice.below(shardCount), effects, downTicks: dice.pick([2, 10, 40]) };
    case 'killStore':
      return { do: name, effects, downTicks: dice.pick([2, 10, 40]) };
    case 'storeAway':
      return { do: name, ticks: dice.pick([5, 40]) };
    case 'fill': {
      const [from, to] = dice.shuffle([...threads]);
      return { do: name, from, to, ticks: dice.pick([2, 10, 40]) };
    }
    case 'stall':
      return { do: name, thread: dice.pick(threads), ticks: dice.pick([2, 10, 25]) };
  }
}

export function returnOf(dice: Dice): Return {
  return {
    isResumed: dice.chance(0.75),
    hasPositions: dice.chance(0.6),
    isTwice: dice.chance(0.15),
    isByFormer: dice.chance(0.25),
    afterTicks: dice.pick([0, 1, 3, 10, 25, 40, 120, 300]),
  };
}

export function printPresenceOps(ops: readonly PresenceOp[]): string {
  return ops
    .map(({ atTick, do: name, ...fields }) => `  ${atTick} ${name} ${JSON.stringify(fields)}`)
    .join('\n');
}
