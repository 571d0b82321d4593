/**
 * One simulated server and its clients in one thread: the plan's operations, the dice's order of turns, deaths and restarts
 * as the supervisor orders them. The same plan is the same run.
 */
import { hashString } from '#kit/hash.ts';
import type { ShardId, TopicKey } from '#proto/names.ts';
import { storePeer } from '#proto/names.ts';
import { parseConfig } from '../../src/config/load-config.ts';
import { type ClientWorld, SimClient } from './sim-client.ts';
import type { SimEvent } from './sim-events.ts';
import { Effects, SimLink, SimPipe } from './sim-link.ts';
import { SimLog } from './sim-log.ts';
import { type Plan, type SimOp, storeThread } from './sim-plan.ts';
import { Dice } from './sim-random.ts';
import { SimShard } from './sim-shard.ts';
import { SimStore } from './sim-store.ts';
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
/** One log is never cut below its last entry: what it may hold by itself, with the frames of both encodings, and some. */
const windowSlackBytes = 3 * 512 * 1024 + 200_000;

type Actor = Thread | SimClient;

/** A thread and what the primary has told it and it has not heard. */
interface Thread {
  id: ShardId;
  life: SimShard | SimStore;
  control: { atTick: number; run: () => void }[];
  stalledUntil: number;
}

export class SimWorld implements ClientWorld {
  readonly plan: Plan;
  readonly events: SimEvent[] = [];
  readonly faults: string[] = [];
  readonly log = new SimLog();
  readonly clients: SimClient[];
  /** What happened how often. */
  readonly counts = new Map<string, number>();
  tick = 0;
  #nowMs = 1_000_000;
  #nextId = 0;
  readonly #clock = { wallMs: () => 1_767_225_600_000 + this.#nowMs, monotonicMs: () => this.#nowMs };
  readonly #ids = { next: () => uuidOf(++this.#nextId) };
  /** Serving ones, the store under its own number. */
  readonly #threads = new Map<ShardId, Thread>();
  readonly #restarts: { atTick: number; id: ShardId }[] = [];
  readonly #pipes = new Map<string, SimPipe>();
  readonly #full: { name: string; untilTick: number }[] = [];
  #awayUntil = -1;

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
    this.#start(storePeer);
    for (let shard = 0; shard < plan.setup.shardCount; shard++) this.#start(shard as ShardId);
  }

  // ---- for clients

  nowMs(): number {
    return this.#nowMs;
  }

  record(event: SimEvent): void {
    this.events.push(event);
  }

  connect(who: WireUser): SimWire | undefined {
    const shards = this.#shards();
    const shard = shards[(this.tick + who.user.charCodeAt(1)) % Math.max(1, shards.length)];
    return shard && new SimWire(who, shard, this.plan.setup.kernelBytes);
  }

  // ---- the run

  /** All operations, then until nothing is on its way. */
  async run(): Promise<void> {
    for (const op of this.plan.ops) {
      await this.#steps(() => this.tick < op.atTick, this.plan.setup.runChance);
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
      this.#nowMs += settleTickMs - tickMs;
      const waits = this.#step(1);
      if (waits !== undefined) await waits;
      quietMs = this.#unsettled() === undefined ? quietMs + settleTickMs : 0;
    }
  }

  /** Everyone goes, and minutes pass. */
  async leave(): Promise<void> {
    for (const client of this.clients) client.isLeaving = true;
    const lastTick = this.tick + 20;
    await this.#steps(() => this.tick < lastTick, 1);
    await this.#pass(400);
    for (const shard of this.#shards()) this.faults.push(...shard.leaks());
  }

  /** One tick. Only the store is waited for, and only when it has something to do: waiting is what costs most here. */
  #step(runChance: number): Promise<void> | undefined {
    this.tick++;
    this.#nowMs += tickMs;
    const dice = new Dice(this.plan.seed, this.tick);
    this.#onTime();
    const actors: Actor[] = dice.shuffle([...this.#threads.values(), ...this.clients]);
    return this.#runAll(runChance < 1 ? actors.filter(() => dice.chance(runChance)) : actors, dice);
  }

  #runAll(actors: Actor[], dice: Dice): Promise<void> | undefined {
    for (const [index, actor] of actors.entries()) {
      const waits = actor instanceof SimClient ? actor.step(dice) : this.#turn(actor, dice);
      if (waits !== undefined) return waits.then(() => this.#runAll(actors.slice(index + 1), dice));
    }
    return undefined;
  }

  #turn(thread: Thread, dice: Dice): Promise<void> | undefined {
    const { life, control, stalledUntil } = thread;
    if (stalledUntil > this.tick) return undefined;
    while (control.length > 0 && (control[0] as Thread['control'][0]).atTick <= this.tick)
      control.shift()?.run();
    if (life instanceof SimStore) return life.isBusy ? life.turn(dice) : undefined;
    life.turn(dice);
    const { windowBytesMax } = this.plan.setup;
    const { bytes } = life.windows;
    if (bytes > windowBytesMax + windowSlackBytes || bytes < 0)
      this.faults.push(`windows hold ${bytes} bytes`);
    if (life.failures.length > 0) this.#onFailures(life.failures);
    return undefined;
  }

  #onFailures(failures: unknown[]): void {
    for (const failure of failures.splice(0))
      this.faults.push(`threw: ${failure instanceof Error ? failure.stack : String(failure)}`);
  }

  /** Time passes quickly: heartbeats, windows that grow old, keys that are forgotten. */
  async #pass(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed += passSeconds) {
      this.#nowMs += passSeconds * 1000 - tickMs;
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

  #onTime(): void {
    for (const { name, untilTick } of this.#full) {
      const pipe = this.#pipes.get(name);
      if (pipe !== undefined) pipe.isFull = untilTick > this.tick;
    }
    if (this.#awayUntil === this.tick) this.#store()?.setAway(false, this.#diceOf('away'));
    for (const restart of [...this.#restarts]) {
      if (restart.atTick > this.tick) continue;
      this.#restarts.splice(this.#restarts.indexOf(restart), 1);
      this.#start(restart.id);
    }
  }

  #heal(): void {
    for (const client of this.clients) client.deafUntilMs = 0;
    for (const full of this.#full) full.untilTick = 0;
    for (const thread of this.#threads.values()) thread.stalledUntil = 0;
    if (this.#awayUntil > this.tick) this.#awayUntil = this.tick + 1;
  }

  /** What is still on its way, or missing. */
  #unsettled(): string | undefined {
    if (this.#restarts.length > 0) return 'a thread is down';
    for (const [name, { size }] of this.#pipes) if (size > 0) return `${size} records are in ${name}`;
    for (const { id, life, control } of this.#threads.values()) {
      if (control.length > 0) return `${id} has not heard the primary`;
      if (life instanceof SimStore ? life.isBusy : !life.isQuiet) return `${id} is busy`;
    }
    for (const client of this.clients) {
      const what = client.unsettled();
      if (what !== undefined) return `${client.name} ${what}`;
    }
    return undefined;
  }

  // ---- threads

  #shards(): SimShard[] {
    return [...this.#threads.values()].flatMap(({ life }) => (life instanceof SimShard ? [life] : []));
  }

  #store(): SimStore | undefined {
    return this.#threads.get(storePeer)?.life as SimStore | undefined;
  }

  /** A thread that is ready, and linked to those that serve. */
  #start(id: ShardId): void {
    const { setup } = this.plan;
    const effects = new Effects();
    const life =
      id === storePeer
        ? new SimStore(this.log, setup, { clock: this.#clock, effects })
        : new SimShard({
            ...{ id, effects, clock: this.#clock, ids: this.#ids, windowBytesMax: setup.windowBytesMax },
            shardCount: setup.shardCount,
            config: { ...baseConfig, outboxBytesMax: setup.outboxBytesMax },
          });
    if (life instanceof SimStore && this.#awayUntil > this.tick) life.setAway(true, this.#diceOf('away'));
    const thread: Thread = { id, life, control: [], stalledUntil: 0 };
    for (const other of this.#threads.values()) this.#link(thread, other);
    this.#threads.set(id, thread);
  }

  #link(one: Thread, other: Thread): void {
    const there = new SimPipe(this.plan.setup.ringRecordsMax);
    const back = new SimPipe(this.plan.setup.ringRecordsMax);
    this.#pipes.set(pipeName(one.id, other.id), there);
    this.#pipes.set(pipeName(other.id, one.id), back);
    this.#tellLink(one, other.id, { outbound: there, inbound: back });
    this.#tellLink(other, one.id, { outbound: back, inbound: there });
  }

  #tellLink(thread: Thread, peer: ShardId, pipes: { outbound: SimPipe; inbound: SimPipe }): void {
    const { id, life } = thread;
    const link = new SimLink(pipes, {
      ...{ self: id, clock: this.#clock, effects: life.effects },
      onShed: (kind, outcome) => this.count(`${outcome} ${kind}`),
    });
    this.#tell(thread, () =>
      life instanceof SimStore ? life.onLink(peer, link) : life.connectPeer(peer, link),
    );
  }

  /** The primary's messages come in order, a little later than they were sent; what it says at once comes at once. */
  #tell({ id, control }: Thread, run: () => void): void {
    const atTick = Math.max(
      this.tick + this.#diceOf(`control ${id}`).pick([0, 1, 1, 4]),
      control.at(-1)?.atTick ?? 0,
    );
    control.push({ atTick, run });
  }

  async #kill(id: ShardId, effects: number, downTicks: number): Promise<void> {
    const thread = this.#threads.get(id);
    if (thread === undefined) return;
    const { life } = thread;
    const dice = this.#diceOf(`death of ${id}`);
    life.effects.limit(effects);
    if (thread.stalledUntil <= this.tick) await this.#turn(thread, dice);
    life.effects.limit(0);
    this.count(id === storePeer ? 'store died' : 'shard died');
    this.#threads.delete(id);
    for (const [name, pipe] of this.#pipes) {
      if (name.startsWith(`${id}>`)) this.count('records lost with a thread', pipe.onWriterDead());
      if (name.endsWith(`>${id}`)) this.#pipes.delete(name); // nobody reads it
    }
    if (life instanceof SimStore) life.onDead(dice);
    else for (const end of life.connections) end.cut(dice);
    for (const other of this.#threads.values()) this.#tellUnlink(other, id);
    this.#restarts.push({ atTick: this.tick + downTicks, id });
  }

  #tellUnlink(thread: Thread, peer: ShardId): void {
    const { life } = thread;
    this.#tell(thread, () => {
      if (life instanceof SimStore) life.onUnlink(peer);
      else life.disconnectPeer(peer);
    });
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
        return client.drop(this.#diceOf('drop'));
      case 'toggle': {
        const want = client.wants[op.want] as (typeof client.wants)[0];
        want.isWanted = !want.isWanted;
        return;
      }
      case 'flicker': {
        const want = client.wants[op.want] as (typeof client.wants)[0];
        want.isWanted = !want.isWanted;
        const lastTick = this.tick + op.ticks;
        await this.#steps(() => this.tick < lastTick, this.plan.setup.runChance);
        want.isWanted = !want.isWanted;
        return;
      }
      case 'mark':
        return client.mark(op.topic === 'inbox' ? client.inbox.topic : op.topic);
      case 'deafen':
        client.deafUntilMs = this.#nowMs + op.ticks * tickMs;
        return;
      default:
        return this.#break(op);
    }
  }

  async #break(op: SimOp): Promise<void> {
    switch (op.do) {
      case 'killShard': {
        const store = this.#threads.get(storePeer);
        if (op.isStoreSlow && store !== undefined) store.stalledUntil = this.tick + op.downTicks + slowTicks;
        return this.#kill(op.shard as ShardId, op.effects, op.downTicks);
      }
      case 'killStore':
        return this.#kill(storePeer, op.effects, op.downTicks);
      case 'storeAway':
        this.#awayUntil = this.tick + op.ticks;
        return this.#store()?.setAway(true, this.#diceOf('away'));
      case 'fill':
        this.#full.push({ name: pipeName(idOf(op.from), idOf(op.to)), untilTick: this.tick + op.ticks });
        return;
      case 'stall': {
        const thread = this.#threads.get(idOf(op.thread));
        if (thread !== undefined) thread.stalledUntil = this.tick + op.ticks;
        return;
      }
      case 'prune': {
        const key = `${this.plan.setup.clients[0]?.tenant}|${op.topic}` as TopicKey;
        return this.log.prune(key, { keep: op.keep, beforeMs: this.#clock.wallMs() - retentionMs });
      }
      case 'pass':
        // What is not answered may be sent again behind the five minutes in which its key is remembered.
        return this.#pass(this.clients.every(({ isAnswered }) => isAnswered) ? op.seconds : shortPassSeconds);
    }
  }

  /** For one purpose in this tick, whatever else happens in it. */
  #diceOf(purpose: string): Dice {
    return new Dice(this.plan.seed, hashString(purpose, this.tick));
  }

  count(name: string, by = 1): void {
    if (by > 0) this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }
}

function idOf(thread: number): ShardId {
  return thread === storeThread ? storePeer : (thread as ShardId);
}

function pipeName(from: ShardId, to: ShardId): string {
  return `${from}>${to}`;
}

function uuidOf(number: number): string {
  return `00000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
}
