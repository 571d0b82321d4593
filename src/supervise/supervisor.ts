/**
 * Keeps the shards and the store alive: starts them, links them, restarts those that die, within a budget.
 * Thread: primary. Made by server.ts. Knows threads and control messages; never what clients say.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#kit/clock.ts';
import type { AdmissionVerdict, CpuJob, FailpointName, FromShard, FromStore } from '#proto/control.ts';
import { type ShardId, storePeer } from '#proto/names.ts';
import { Heartbeats } from '../observe/heartbeats.ts';
import type { Logger } from '../observe/logger.ts';
import { MetricsRow } from '../observe/metrics-table.ts';
import { RestartBudget } from './restart-budget.ts';
import { RingFabric } from './ring-fabric.ts';
import { StallWatch } from './stall-watch.ts';
import { SupervisedThread, type ThreadEvents } from './supervised-thread.ts';

const watchEveryMs = 250;
/** What a thread that was asked to exit gets before it is terminated, milliseconds. */
const exitGraceMs = 1_000;

export interface SupervisorContext {
  shardCount: number;
  ringBytes: number;
  stallTimeoutMs: number;
  clock: Clock;
  log: Logger;
  metrics: SharedArrayBuffer;
  heartbeats: SharedArrayBuffer;
  /** What a thread is born with: a shard's, or the store's (`storePeer`). `isFirst`: it takes nobody's place. */
  startOf(peer: ShardId, isFirst: boolean): object;
  /** Its row in the table of metrics. */
  metricsRowOf(peer: ShardId): number;
  onLogLines(lines: string[]): void;
  onKeys(jwks: string): void;
  /** Work that would stall any thread of ours; resolves with its answer. */
  runJob(job: CpuJob): Promise<unknown>;
  onSocketsClosed(shard: ShardId, addresses: string[]): void;
  onShardGone(shard: ShardId): void;
  /** The budget is spent: the process must end. */
  onExhausted(reason: string): void;
}

export class Supervisor implements ThreadEvents {
  readonly shardCount: number;
  readonly #ctx: SupervisorContext;
  readonly #threads = new Map<ShardId, SupervisedThread>();
  readonly #budget: RestartBudget;
  readonly #fabric: RingFabric;
  readonly #stalls: StallWatch;
  readonly #drained = new Map<ShardId, () => void>();
  /** Ready, and linked to the others. */
  readonly #serving = new Set<ShardId>();
  #watcher: NodeJS.Timeout | undefined;
  #isStarted = false;
  #isStopping = false;

  constructor(ctx: SupervisorContext) {
    this.shardCount = ctx.shardCount;
    this.#ctx = ctx;
    this.#budget = new RestartBudget(ctx.clock);
    this.#fabric = new RingFabric(ctx.ringBytes);
    this.#stalls = new StallWatch(new Heartbeats(ctx.heartbeats), ctx.stallTimeoutMs);
  }

  /** The store, then all shards, up and linked. Rejects with the first failure: what cannot start is not restarted. */
  async start(): Promise<void> {
    await this.#spawn(storePeer).ready;
    for (let shard = 0; shard < this.shardCount; shard++) this.#spawn(shard as ShardId);
    await Promise.all([...this.#threads.values()].map((thread) => thread.ready));
    for (const thread of this.#threads.values()) this.#onReady(thread);
    this.#watcher = setInterval(() => this.#watch(), watchEveryMs);
    this.#isStarted = true;
  }

  isUp(shard: ShardId): boolean {
    return this.#serving.has(shard);
  }

  tryHandOver(shard: ShardId, socket: Socket, address: string, verdict: AdmissionVerdict): boolean {
    this.#thread(shard).post({ kind: 'socket', address, verdict, socket }, [socket]);
    return socket.destroyed;
  }

  /** The self-test hands a socket over without admission. */
  tryProbe(shard: ShardId, socket: Socket): boolean {
    this.#thread(shard).post({ kind: 'probe', socket }, [socket]);
    return socket.destroyed;
  }

  failpoint(peer: ShardId, name: FailpointName): void {
    this.#thread(peer).post({ kind: 'failpoint', name });
  }

  /** Every client is told and closed, within `timeoutMs`; then the threads end. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#watcher);
    const threads = this.#shards().filter((thread) => thread.isReady);
    const drained = threads.map(
      (thread) => new Promise<void>((resolve) => this.#drained.set(thread.peer, resolve)),
    );
    for (const thread of threads) thread.post({ kind: 'drain', timeoutMs });
    await Promise.race([Promise.all(drained), delay(timeoutMs + exitGraceMs)]);
    await this.stop();
  }

  /** Without goodbyes. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#watcher);
    await this.#end(this.#shards());
    const store = this.#threads.get(storePeer);
    if (store !== undefined) await this.#end([store]); // behind the shards: what they asked for is committed
  }

  async #end(threads: SupervisedThread[]): Promise<void> {
    for (const thread of threads) thread.post({ kind: 'exit' });
    await Promise.race([Promise.all(threads.map((thread) => thread.exited)), delay(exitGraceMs)]);
    await Promise.all(threads.map((thread) => thread.terminate()));
  }

  // ---- events of a thread

  onMessage(thread: SupervisedThread, message: FromShard | FromStore): void {
    if (message.kind === 'logs') this.#ctx.onLogLines(message.lines);
    if (message.kind === 'keys') this.#ctx.onKeys(message.jwks);
    if (message.kind === 'closed') this.#ctx.onSocketsClosed(thread.peer, message.addresses);
    if (message.kind === 'drained') this.#drained.get(thread.peer)?.();
    if (message.kind === 'job') void this.#runJob(thread, message);
  }

  onExit(thread: SupervisedThread): void {
    const { peer } = thread;
    if (this.#threads.get(peer) !== thread) return;
    this.#serving.delete(peer);
    this.#stalls.end(peer);
    this.#row(peer).clearGauges();
    this.#drained.get(peer)?.();
    if (peer !== storePeer) this.#ctx.onShardGone(peer);
    for (const other of this.#others(peer)) other.post({ kind: 'unlink', peer });
    if (this.#isStarted && !this.#isStopping) this.#restart(thread);
  }

  /** The answer is for the thread that asked: its successor counts its jobs anew. */
  async #runJob(thread: SupervisedThread, { id, ...job }: { id: number } & CpuJob): Promise<void> {
    try {
      const answer = await this.#ctx.runJob(job);
      thread.post({ kind: 'jobDone', id, answer, failure: undefined });
    } catch (error) {
      thread.post({ kind: 'jobDone', id, answer: undefined, failure: (error as Error).message });
    }
  }

  // ---- lives

  #spawn(peer: ShardId): SupervisedThread {
    const thread = new SupervisedThread(peer, this.#ctx.startOf(peer, !this.#isStarted), this);
    this.#threads.set(peer, thread);
    return thread;
  }

  #onReady(thread: SupervisedThread): void {
    const { peer } = thread;
    for (const other of this.#others(peer)) {
      // Those that are not served yet link themselves, when it is their turn.
      if (this.#serving.has(other.peer)) this.#fabric.link(thread, other);
    }
    this.#serving.add(peer);
    if (peer === storePeer) return;
    this.#stalls.begin(peer, this.#ctx.clock.monotonicMs());
    this.#row(peer).set('shardUp', 1);
  }

  /**
   * Within the budget, also when the successor dies before it serves: what it lacks (memory, say) may come back. A first
   * start that fails is not repeated: start() has rejected.
   */
  #restart({ peer, failure }: SupervisedThread): void {
    const isStore = peer === storePeer;
    const [who, fields] = isStore ? ['the store', {}] : ['a shard', { shard: peer }];
    const delayMs = this.#budget.take();
    if (delayMs === 'exhausted') {
      this.#ctx.log.fatal({ ...fields, err: failure }, `${who} died and its restart budget is spent`);
      return this.#ctx.onExhausted(`${isStore ? who : `shard ${peer}`} died: ${failure?.message}`);
    }
    this.#ctx.log.error({ ...fields, err: failure, delayMs }, `${who} died and is restarted`);
    setTimeout(() => {
      if (this.#isStopping) return;
      this.#row(peer).add(isStore ? 'storeRestarts' : 'shardRestarts');
      const successor = this.#spawn(peer);
      successor.ready.then(
        () => {
          // The drain has begun without it: it must not serve those whom the others send away.
          if (this.#isStopping) return successor.post({ kind: 'exit' });
          this.#onReady(successor);
          this.#ctx.log.info(fields, isStore ? 'the store is back' : 'the shard is back');
        },
        () => {}, // onExit has it
      );
    }, delayMs);
  }

  #watch(): void {
    const nowMs = this.#ctx.clock.monotonicMs();
    for (const thread of this.#shards()) {
      const state = this.#stalls.look(thread.peer, nowMs);
      if (state === 'slow') this.#ctx.log.warn({ shard: thread.peer }, 'the loop of a shard stands still');
      if (state !== 'stalled') continue;
      this.#ctx.log.error(
        { shard: thread.peer },
        'the loop of a shard stood still for too long; its thread is ended',
      );
      void thread.terminate();
    }
  }

  #shards(): SupervisedThread[] {
    return [...this.#threads.values()].filter((thread) => thread.peer !== storePeer);
  }

  #others(peer: ShardId): SupervisedThread[] {
    return [...this.#threads.values()].filter((thread) => thread.peer !== peer && thread.isReady);
  }

  #thread(peer: ShardId): SupervisedThread {
    return this.#threads.get(peer) as SupervisedThread;
  }

  #row(peer: ShardId): MetricsRow {
    return new MetricsRow(this.#ctx.metrics, this.#ctx.metricsRowOf(peer));
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
