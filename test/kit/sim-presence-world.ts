/** One simulated server and devices of users: the plan's operations, and the dice's order of turns. The same plan is the same run. */

import type { ShardId, TopicKey } from '#proto/names.ts';
import { parseConfig } from '../../src/config/load-config.ts';
import { Homes } from '../../src/shard/homes.ts';
import { SimLog } from './sim-log.ts';
import { type DeviceWorld, PresenceDevice } from './sim-presence-device.ts';
import type { PresenceEvent } from './sim-presence-events.ts';
import { type PresenceOp, type PresencePlan, senderUser } from './sim-presence-plan.ts';
import { Dice } from './sim-random.ts';
import { type SimThread, SimThreads, SimTime, storeThread } from './sim-threads.ts';
import { SimWire, type WireUser } from './sim-wire.ts';

const tickMs = 20;
const settleTicksMax = 1500;
/** The promise: who follows somebody knows the truth after so long. */
const quietMs = 5000;
const kernelBytes = 1024 ** 2;
export const clientTimeoutMs = 2500;
const baseConfig = parseConfig({ SHARDS: '2', RATE_LIMIT_ENABLED: 'false' }, false);
/** A thread that died, hung or could not be reached makes what it is home of late by so much, milliseconds. */
const afterTroubleMs = 3000;
/** So much later than its client knows it a device is told to be idle: what it said last may wait for a thread that hangs. Milliseconds. */
const idleLagMs = 1000;

interface Trouble {
  /** Undefined: all of them. */
  shard: number | undefined;
  fromMs: number;
  untilMs: number;
}

export class PresenceWorld implements DeviceWorld {
  readonly plan: PresencePlan;
  readonly events: PresenceEvent[] = [];
  readonly log = new SimLog();
  readonly devices: PresenceDevice[];
  readonly troubles: Trouble[] = [];
  readonly deaths: { shard: number; atMs: number }[] = [];
  readonly keptAfterMs: number;
  readonly tickMs = tickMs;
  readonly #time: SimTime;
  readonly #threads: SimThreads;
  readonly #homes: Homes;

  constructor(plan: PresencePlan) {
    const { seed, setup, ops } = plan;
    this.plan = plan;
    this.#time = new SimTime(seed);
    const { graceMs, ttlMs, awayAfterMs } = setup;
    const config = {
      ...{ ...baseConfig, presenceGraceMs: graceMs, sessionTtlMs: ttlMs, awayAfterMs, clientTimeoutMs },
      heartbeatIntervalMs: 1000,
    };
    this.#threads = new SimThreads(setup, config, { time: this.#time, log: this.log });
    this.#homes = new Homes(0 as ShardId, setup.shardCount);
    this.devices = setup.devices.map(
      (device, index) => new PresenceDevice(`p${index}`, device, this, new Dice(seed, 1000 + index)),
    );
    // A store that was away has not kept what was told meanwhile.
    const hasLostStore = ops.some(({ do: name }) =>
      ['killStore', 'storeAway', 'fill', 'stall'].includes(name),
    );
    this.keptAfterMs = hasLostStore ? Number.POSITIVE_INFINITY : 3000;
  }

  get ttlMs(): number {
    return this.plan.setup.ttlMs;
  }

  get faults(): string[] {
    return this.#threads.faults;
  }

  get counts(): Map<string, number> {
    return this.#threads.counts;
  }

  // ---- for devices

  nowMs(): number {
    return this.#time.nowMs;
  }

  record(event: PresenceEvent): void {
    this.events.push(event);
  }

  connect(who: WireUser, purpose: string): SimWire | undefined {
    const shards = this.#threads.shards();
    if (shards.length === 0) return undefined;
    return new SimWire(who, this.#time.diceOf(purpose).pick(shards), kernelBytes);
  }

  hadTrouble(name: string, sinceMs: number, untilMs = this.nowMs()): boolean {
    const home = this.#homes.of(`t1|${name}` as TopicKey);
    return this.troubles.some(
      (trouble) =>
        (trouble.shard === undefined || trouble.shard === home) &&
        trouble.fromMs <= untilMs &&
        trouble.untilMs >= sinceMs,
    );
  }

  count(name: string): void {
    this.#threads.count(name);
  }

  // ---- the run

  /** All operations, until everyone has what they want, and then so long as the truth may take. */
  async run(): Promise<void> {
    for (const op of this.plan.ops) {
      while (this.#time.tick < op.atTick) await this.#step(this.plan.setup.runChance);
      await this.#do(op);
    }
    this.#threads.heal();
    for (let tick = 0, calmTicks = 0; calmTicks < 10; tick++) {
      if (tick > settleTicksMax) {
        this.faults.push(`never settles: ${this.#unsettled() ?? 'it goes on'}`);
        return;
      }
      await this.#step(1);
      calmTicks = this.#unsettled() === undefined ? calmTicks + 1 : 0;
    }
    const endMs = this.nowMs() + quietMs;
    while (this.nowMs() < endMs || this.#isOnTheEdge) await this.#step(1, 50);
  }

  /** Everyone goes, and the time of their sessions passes. */
  async leave(): Promise<void> {
    const dice = this.#time.diceOf('leave');
    for (const device of this.devices) {
      if (dice.chance(0.5)) device.goodbye();
      else device.lose('cut', undefined);
    }
    const endMs = this.nowMs() + this.ttlMs + 2000;
    while (this.nowMs() < endMs) await this.#step(1, 100);
    for (let left = 30; left > 0; left--) await this.#step(1, 20_000); // logs grow cold, typists stop
    for (const shard of this.#threads.shards()) {
      this.faults.push(...shard.leaks());
      const detached = shard.metrics.get('sessionsDetached');
      if (detached !== 0) this.faults.push(`shard ${shard.id} has ${detached} detached sessions`);
    }
  }

  async #step(runChance: number, ms = tickMs): Promise<void> {
    this.#time.tick++;
    this.#time.nowMs += ms;
    const dice = new Dice(this.plan.seed, this.#time.tick);
    this.#threads.onTime();
    const actors: (SimThread | PresenceDevice)[] = dice.shuffle([...this.#threads.all(), ...this.devices]);
    for (const actor of actors) {
      if (runChance < 1 && !dice.chance(runChance)) continue;
      const waits = actor instanceof PresenceDevice ? actor.step(dice) : this.#threads.turn(actor, dice);
      if (waits !== undefined) await waits;
    }
  }

  #unsettled(): string | undefined {
    for (const device of this.devices) {
      const what = device.unsettled();
      if (what !== undefined) return `${device.name} ${what}`;
    }
    return this.#threads.unsettled();
  }

  /** Somebody is about to be idle, or was made so just now. */
  get #isOnTheEdge(): boolean {
    const { awayAfterMs } = this.plan.setup;
    return this.devices.some(
      ({ life }) =>
        life !== undefined && Math.abs(this.nowMs() - life.lastActiveMs - awayAfterMs) < idleLagMs,
    );
  }

  async #do(op: PresenceOp): Promise<void> {
    this.count(op.do);
    const device = this.devices['device' in op ? op.device : 0] as PresenceDevice;
    switch (op.do) {
      case 'lose':
        return device.lose(op.how, op.back);
      case 'goodbye':
        return device.goodbye();
      case 'come':
        return device.come();
      case 'status':
        device.want.status = op.status;
        return;
      case 'follow':
        return void device.want.follows[op.isOn ? 'add' : 'delete'](op.user);
      case 'topic':
        return void device.want.topics[op.isOn ? 'add' : 'delete'](op.topic);
      case 'publish':
        for (let left = op.count; left > 0; left--) device.publish('Broadcast', { topic: op.topic });
        return;
      case 'direct': {
        const sender = this.devices.find(({ who }) => who.user === senderUser);
        for (let left = op.count; left > 0; left--) sender?.publish('DirectMessage', { to: op.user });
        return;
      }
      default:
        return this.#break(op);
    }
  }

  async #break(
    op: PresenceOp & { do: 'killShard' | 'killStore' | 'storeAway' | 'fill' | 'stall' },
  ): Promise<void> {
    const ticks = 'downTicks' in op ? op.downTicks : op.ticks;
    const shard = op.do === 'killShard' ? op.shard : undefined;
    this.troubles.push({
      shard,
      fromMs: this.nowMs(),
      untilMs: this.nowMs() + ticks * tickMs + afterTroubleMs,
    });
    switch (op.do) {
      case 'killShard':
        this.deaths.push({ shard: op.shard, atMs: this.nowMs() });
        return this.#threads.kill(op.shard, op.effects, op.downTicks);
      case 'killStore':
        return this.#threads.kill(storeThread, op.effects, op.downTicks);
      case 'storeAway':
        return this.#threads.storeAway(op.ticks);
      case 'fill':
        return this.#threads.fill(op.from, op.to, op.ticks);
      case 'stall':
        return this.#threads.stall(op.thread, op.ticks);
    }
  }
}
