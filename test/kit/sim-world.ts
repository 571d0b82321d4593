/**
 * One simulated server and its clients in one thread: the plan's operations, the dice's order of turns, deaths and restarts
 * as the supervisor orders them. The same plan is the same run.
 */
import type { TopicKey } from '#proto/names.ts';
import { parseConfig } from '../../src/config/load-config.ts';
import { type ClientWorld, SimClient } from './sim-client.ts';
import type { SimEvent } from './sim-events.ts';
import { SimLog } from './sim-log.ts';
import type { Plan, SimOp } from './sim-plan.ts';
import { Dice } from './sim-random.ts';
import { type SimThread, SimThreads, SimTime, storeThread } from './sim-threads.ts';
import { SimWire, type WireUser } from './sim-wire.ts';

export const tickMs = 10;
/** Nothing happens for so long that whoever waits to try again has done so. */
const settledMs = 1500;
/** When only the end is waited for time goes quicker. */
const settleTickMs = 50;
const settleTicksMax = 600;
/** How coarse time is when it passes quickly. */
const passSeconds = 10;
const shortPassSeconds = 40;
/** Much shorter than the shortest that a server takes, a day; long enough for every word of an entry to have come. */
const retentionMs = 1500;
/** How long a slow store stays so behind the restart of a shard, ticks. */
const slowTicks = 15;
const baseConfig = parseConfig({ SHARDS: '2', RATE_LIMIT_ENABLED: 'false' }, false);

type Actor = SimThread | SimClient;

export class SimWorld implements ClientWorld {
  readonly plan: Plan;
  readonly events: SimEvent[] = [];
  readonly faults: string[];
  readonly log = new SimLog();
  readonly clients: SimClient[];
  /** What happened how often. */
  readonly counts: Map<string, number>;
  readonly #time: SimTime;
  readonly #threads: SimThreads;

  constructor(plan: Plan) {
    this.plan = plan;
    this.clients = plan.setup.clients.map(({ wants, ...who }, index) => {
      const client = new SimClient(
        `c${index}`,
        who,
        wants.map((want) => ({ ...want, state: 'off', have: undefined, retryAtMs: 0 })),
        this,
      );
      client.padBytes = plan.setup.padBytes;
      return client;
    });
    this.#time = new SimTime(plan.seed);
    const config = { ...baseConfig, outboxBytesMax: plan.setup.outboxBytesMax };
    this.#threads = new SimThreads(plan.setup, config, { time: this.#time, log: this.log });
    this.faults = this.#threads.faults;
    this.counts = this.#threads.counts;
  }

  // ---- for clients

  nowMs(): number {
    return this.#time.nowMs;
  }

  record(event: SimEvent): void {
    this.events.push(event);
  }

  connect(who: WireUser): SimWire | undefined {
    const shards = this.#threads.shards();
    const shard = shards[(this.#time.tick + who.user.charCodeAt(1)) % Math.max(1, shards.length)];
    return shard && new SimWire(who, shard, this.plan.setup.kernelBytes);
  }

  // ---- the run

  /** All operations, then until nothing is on its way. */
  async run(): Promise<void> {
    for (const op of this.plan.ops) {
      await this.#steps(() => this.#time.tick < op.atTick, this.plan.setup.runChance);
      await this.#do(op);
    }
    await this.settle();
  }

  /** Everything heals, and everyone gets everything. */
  async settle(): Promise<void> {
    this.#heal();
    let quietMs = 0;
    for (let tick = 0; quietMs < settledMs; tick++) {
      if (tick > settleTicksMax) {
        this.faults.push(`never settles: ${this.#unsettled() ?? 'it goes on'}`);
        return;
      }
      this.#time.nowMs += settleTickMs - tickMs;
      const waits = this.#step(1);
      if (waits !== undefined) await waits;
      quietMs = this.#unsettled() === undefined ? quietMs + settleTickMs : 0;
    }
  }

  /** Everyone goes, and minutes pass. */
  async leave(): Promise<void> {
    for (const client of this.clients) client.isLeaving = true;
    const lastTick = this.#time.tick + 20;
    await this.#steps(() => this.#time.tick < lastTick, 1);
    await this.#pass(400);
    const restTick = this.#time.tick + 100; // what the last of those minutes ended is told to the store
    await this.#steps(() => this.#time.tick < restTick, 1);
    for (const shard of this.#threads.shards()) this.faults.push(...shard.leaks());
  }

  /** One tick. Only the store is waited for, and only when it has something to do: waiting is what costs most here. */
  #step(runChance: number): Promise<void> | undefined {
    this.#time.tick++;
    this.#time.nowMs += tickMs;
    const dice = new Dice(this.plan.seed, this.#time.tick);
    this.#threads.onTime();
    const actors: Actor[] = dice.shuffle([...this.#threads.all(), ...this.clients]);
    return this.#runAll(runChance < 1 ? actors.filter(() => dice.chance(runChance)) : actors, dice);
  }

  #runAll(actors: Actor[], dice: Dice): Promise<void> | undefined {
    for (const [index, actor] of actors.entries()) {
      const waits = actor instanceof SimClient ? actor.step(dice) : this.#threads.turn(actor, dice);
      if (waits !== undefined) return waits.then(() => this.#runAll(actors.slice(index + 1), dice));
    }
    return undefined;
  }

  /** Time passes quickly: heartbeats, windows that grow old, keys that are forgotten. */
  async #pass(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed += passSeconds) {
      this.#time.nowMs += passSeconds * 1000 - tickMs;
      const waits = this.#step(1);
      if (waits !== undefined) await waits;
    }
  }

  async #steps(goOn: () => boolean, runChance: number): Promise<void> {
    while (goOn()) {
      const waits = this.#step(runChance);
      if (waits !== undefined) await waits;
    }
  }

  #heal(): void {
    for (const client of this.clients) client.deafUntilMs = 0;
    this.#threads.heal();
  }

  /** What is still on its way, or missing. */
  #unsettled(): string | undefined {
    const what = this.#threads.unsettled();
    if (what !== undefined) return what;
    for (const client of this.clients) {
      const what = client.unsettled();
      if (what !== undefined) return `${client.name} ${what}`;
    }
    return undefined;
  }

  // ---- operations

  async #do(op: SimOp): Promise<void> {
    this.count(op.do);
    const client = this.clients['client' in op ? op.client : 0] as SimClient;
    switch (op.do) {
      case 'publish':
        for (let left = op.count; left > 0; left--) client.publish(op.topic, op.event);
        return;
      case 'direct': {
        const to = this.clients[op.to] as SimClient;
        for (let left = op.count; left > 0; left--) client.direct(to.who.user);
        return;
      }
      case 'edit':
      case 'delete':
        return client.amend(op.do === 'edit' ? 'Edit' : 'Delete', op.choice);
      case 'drop':
        return client.drop(this.#time.diceOf('drop'));
      case 'toggle': {
        const want = client.wants[op.want] as (typeof client.wants)[0];
        want.isWanted = !want.isWanted;
        return;
      }
      case 'flicker': {
        const want = client.wants[op.want] as (typeof client.wants)[0];
        want.isWanted = !want.isWanted;
        const lastTick = this.#time.tick + op.ticks;
        await this.#steps(() => this.#time.tick < lastTick, this.plan.setup.runChance);
        want.isWanted = !want.isWanted;
        return;
      }
      case 'mark':
        return client.mark(op.topic === 'inbox' ? client.inbox.topic : op.topic);
      case 'deafen':
        client.deafUntilMs = this.#time.nowMs + op.ticks * tickMs;
        return;
      default:
        return this.#break(op);
    }
  }

  async #break(op: SimOp): Promise<void> {
    switch (op.do) {
      case 'killShard':
        if (op.isStoreSlow) this.#threads.stall(storeThread, op.downTicks + slowTicks);
        return this.#threads.kill(op.shard, op.effects, op.downTicks);
      case 'killStore':
        return this.#threads.kill(storeThread, op.effects, op.downTicks);
      case 'storeAway':
        return this.#threads.storeAway(op.ticks);
      case 'fill':
        return this.#threads.fill(op.from, op.to, op.ticks);
      case 'stall':
        return this.#threads.stall(op.thread, op.ticks);
      case 'prune': {
        const key = `${this.plan.setup.clients[0]?.tenant}|${op.topic}` as TopicKey;
        return this.log.prune(key, { keep: op.keep, beforeMs: this.#time.clock.wallMs() - retentionMs });
      }
      case 'pass':
        // What is not answered may be sent again behind the five minutes in which its key is remembered.
        return this.#pass(this.clients.every(({ isAnswered }) => isAnswered) ? op.seconds : shortPassSeconds);
    }
  }

  count(name: string, by = 1): void {
    this.#threads.count(name, by);
  }
}
