/**
 * The threads of a simulated server in one thread: shards, the store, the links between them, deaths and restarts as the
 * supervisor orders them. Who has its turn when is for the world that owns them.
 */
import type { Clock } from '#kit/clock.ts';
import { hashString } from '#kit/hash.ts';
import type { MessageIds } from '#kit/message-id.ts';
import type { ShardId } from '#proto/names.ts';
import { storePeer } from '#proto/names.ts';
import type { Config } from '../../src/config/load-config.ts';
import { Effects, SimLink, SimPipe } from './sim-link.ts';
import type { SimLog } from './sim-log.ts';
import { Dice } from './sim-random.ts';
import { SimShard } from './sim-shard.ts';
import { SimStore, type StorePace } from './sim-store.ts';

/** One log is never cut below its last entry: what it may hold by itself, with the frames of both encodings, and some. */
const windowSlackBytes = 3 * 512 * 1024 + 200_000;
/** Where a thread's number would be: the store. */
export const storeThread = 99;

/** A thread and what the primary has told it and it has not heard. */
export interface SimThread {
  id: ShardId;
  life: SimShard | SimStore;
  control: { atTick: number; run: () => void }[];
  stalledUntil: number;
}

export interface ServerSetup extends StorePace {
  shardCount: number;
  /** Of a shard's hot windows. */
  windowBytesMax: number;
  /** Records that are not lost when the writer of a link dies. */
  ringRecordsMax: number;
}

/** What time it is in a simulation. */
export class SimTime {
  readonly seed: number;
  readonly clock: Clock;
  tick = 0;
  nowMs = 1_000_000;
  #nextId = 0;
  readonly ids: MessageIds = { next: () => uuidOf(++this.#nextId) };

  constructor(seed: number) {
    this.seed = seed;
    this.clock = { wallMs: () => 1_767_225_600_000 + this.nowMs, monotonicMs: () => this.nowMs };
  }

  /** For one purpose in this tick, whatever else happens in it. */
  diceOf(purpose: string): Dice {
    return new Dice(this.seed, hashString(purpose, this.tick));
  }
}

export class SimThreads {
  readonly faults: string[] = [];
  readonly log: SimLog;
  /** What happened how often. */
  readonly counts = new Map<string, number>();
  readonly #setup: ServerSetup;
  readonly #config: Config;
  readonly #time: SimTime;
  /** Serving ones, the store under its own number. */
  readonly #threads = new Map<ShardId, SimThread>();
  readonly #restarts: { atTick: number; id: ShardId }[] = [];
  readonly #pipes = new Map<string, SimPipe>();
  readonly #full: { name: string; untilTick: number }[] = [];
  #awayUntil = -1;

  constructor(setup: ServerSetup, config: Config, { time, log }: { time: SimTime; log: SimLog }) {
    this.#setup = setup;
    this.#config = config;
    this.#time = time;
    this.log = log;
    this.#start(storePeer);
    for (let shard = 0; shard < setup.shardCount; shard++) this.#start(shard as ShardId);
  }

  // ---- who is there

  all(): SimThread[] {
    return [...this.#threads.values()];
  }

  shards(): SimShard[] {
    return this.all().flatMap(({ life }) => (life instanceof SimShard ? [life] : []));
  }

  /** What is still on its way. */
  unsettled(): string | undefined {
    if (this.#restarts.length > 0) return 'a thread is down';
    for (const [name, { size }] of this.#pipes) if (size > 0) return `${size} records are in ${name}`;
    for (const { id, life, control } of this.#threads.values()) {
      if (control.length > 0) return `${id} has not heard the primary`;
      if (life instanceof SimStore ? life.isBusy : !life.isQuiet) return `${id} is busy`;
    }
    return undefined;
  }

  // ---- time

  /** At the beginning of a tick: what ends, and who comes back. */
  onTime(): void {
    const { tick } = this.#time;
    for (const { name, untilTick } of this.#full) {
      const pipe = this.#pipes.get(name);
      if (pipe !== undefined) pipe.isFull = untilTick > tick;
    }
    if (this.#awayUntil === tick) this.#store()?.setAway(false, this.#time.diceOf('away'));
    for (const restart of [...this.#restarts]) {
      if (restart.atTick > tick) continue;
      this.#restarts.splice(this.#restarts.indexOf(restart), 1);
      this.#start(restart.id);
    }
  }

  turn(thread: SimThread, dice: Dice): Promise<void> | undefined {
    const { life, control, stalledUntil } = thread;
    const { tick } = this.#time;
    if (stalledUntil > tick) return undefined;
    while (control.length > 0 && (control[0] as SimThread['control'][0]).atTick <= tick)
      control.shift()?.run();
    if (life instanceof SimStore) return life.isBusy ? life.turn(dice) : undefined;
    life.turn(dice);
    const { bytes } = life.windows;
    if (bytes > this.#setup.windowBytesMax + windowSlackBytes || bytes < 0)
      this.faults.push(`windows hold ${bytes} bytes`);
    for (const failure of life.failures.splice(0))
      this.faults.push(`threw: ${failure instanceof Error ? failure.stack : String(failure)}`);
    return undefined;
  }

  // ---- what is done to them

  heal(): void {
    for (const full of this.#full) full.untilTick = 0;
    for (const thread of this.#threads.values()) thread.stalledUntil = 0;
    if (this.#awayUntil > this.#time.tick) this.#awayUntil = this.#time.tick + 1;
  }

  /** After so many effects of its last turn. */
  async kill(number: number, effects: number, downTicks: number): Promise<void> {
    const id = idOf(number);
    const thread = this.#threads.get(id);
    if (thread === undefined) return;
    const { life } = thread;
    const dice = this.#time.diceOf(`death of ${id}`);
    life.effects.limit(effects);
    if (thread.stalledUntil <= this.#time.tick) await this.turn(thread, dice);
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
    this.#restarts.push({ atTick: this.#time.tick + downTicks, id });
  }

  stall(number: number, ticks: number): void {
    const thread = this.#threads.get(idOf(number));
    if (thread !== undefined) thread.stalledUntil = this.#time.tick + ticks;
  }

  fill(from: number, to: number, ticks: number): void {
    this.#full.push({ name: pipeName(idOf(from), idOf(to)), untilTick: this.#time.tick + ticks });
  }

  storeAway(ticks: number): void {
    this.#awayUntil = this.#time.tick + ticks;
    this.#store()?.setAway(true, this.#time.diceOf('away'));
  }

  count(name: string, by = 1): void {
    if (by > 0) this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  // ---- their links

  #store(): SimStore | undefined {
    return this.#threads.get(storePeer)?.life as SimStore | undefined;
  }

  /** A thread that is ready, and linked to those that serve. */
  #start(id: ShardId): void {
    const effects = new Effects();
    const { clock, ids } = this.#time;
    const { windowBytesMax, shardCount } = this.#setup;
    const life =
      id === storePeer
        ? new SimStore(this.log, this.#setup, { clock, effects })
        : new SimShard({ id, effects, clock, ids, windowBytesMax, shardCount, config: this.#config });
    if (life instanceof SimStore && this.#awayUntil > this.#time.tick)
      life.setAway(true, this.#time.diceOf('away'));
    const thread: SimThread = { id, life, control: [], stalledUntil: 0 };
    for (const other of this.#threads.values()) this.#link(thread, other);
    this.#threads.set(id, thread);
  }

  #link(one: SimThread, other: SimThread): void {
    const there = new SimPipe(this.#setup.ringRecordsMax);
    const back = new SimPipe(this.#setup.ringRecordsMax);
    this.#pipes.set(pipeName(one.id, other.id), there);
    this.#pipes.set(pipeName(other.id, one.id), back);
    this.#tellLink(one, other.id, { outbound: there, inbound: back });
    this.#tellLink(other, one.id, { outbound: back, inbound: there });
  }

  #tellLink(thread: SimThread, peer: ShardId, pipes: { outbound: SimPipe; inbound: SimPipe }): void {
    const { id, life } = thread;
    const link = new SimLink(pipes, {
      ...{ self: id, clock: this.#time.clock, effects: life.effects },
      onShed: (kind, outcome) => this.count(`${outcome} ${kind}`),
    });
    this.#tell(thread, () =>
      life instanceof SimStore ? life.onLink(peer, link) : life.connectPeer(peer, link),
    );
  }

  #tellUnlink(thread: SimThread, peer: ShardId): void {
    const { life } = thread;
    this.#tell(thread, () => {
      if (life instanceof SimStore) life.onUnlink(peer);
      else life.disconnectPeer(peer);
    });
  }

  /** The primary's messages come in order, a little later than they were sent; what it says at once comes at once. */
  #tell({ id, control }: SimThread, run: () => void): void {
    const atTick = Math.max(
      this.#time.tick + this.#time.diceOf(`control ${id}`).pick([0, 1, 1, 4]),
      control.at(-1)?.atTick ?? 0,
    );
    control.push({ atTick, run });
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
