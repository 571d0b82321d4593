/**
 * Keeps the shards alive: starts them, links them, restarts those that die, within a budget.
 * Thread: primary. Made by server.ts. Knows threads and control messages; never what clients say.
 */
import type { Socket } from 'node:net';
import type { Clock } from '#kit/clock.ts';
import type { AdmissionVerdict, FailpointName, FromShard } from '#proto/control.ts';
import type { ShardId } from '#proto/names.ts';
import { Heartbeats } from '../observe/heartbeats.ts';
import type { Logger } from '../observe/logger.ts';
import { MetricsRow } from '../observe/metrics-table.ts';
import { RestartBudget } from './restart-budget.ts';
import { RingFabric } from './ring-fabric.ts';
import { ShardThread, type ShardThreadEvents } from './shard-thread.ts';
import { StallWatch } from './stall-watch.ts';

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
  /** What a shard's thread is born with. */
  startOf(shard: ShardId): object;
  onLogLines(lines: string[]): void;
  onKeys(jwks: string): void;
  onSocketsClosed(shard: ShardId, addresses: string[]): void;
  onShardGone(shard: ShardId): void;
  /** The budget is spent: the process must end. */
  onExhausted(reason: string): void;
}

export class Supervisor implements ShardThreadEvents {
  readonly shardCount: number;
  readonly #ctx: SupervisorContext;
  readonly #threads = new Map<ShardId, ShardThread>();
  readonly #budget: RestartBudget;
  readonly #fabric: RingFabric;
  readonly #stalls: StallWatch;
  readonly #drained = new Map<ShardId, () => void>();
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

  /** All shards up and linked. Rejects with the first failure: a shard that cannot start is not restarted. */
  async start(): Promise<void> {
    const shards = Array.from({ length: this.shardCount }, (_, shard) => shard as ShardId);
    for (const shard of shards) this.#spawn(shard);
    await Promise.all([...this.#threads.values()].map((thread) => thread.ready));
    for (const shard of shards) this.#onReady(this.#thread(shard));
    this.#watcher = setInterval(() => this.#watch(), watchEveryMs);
    this.#isStarted = true;
  }

  isUp(shard: ShardId): boolean {
    return this.#threads.get(shard)?.isReady === true;
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

  failpoint(shard: ShardId, name: FailpointName): void {
    this.#thread(shard).post({ kind: 'failpoint', name });
  }

  /** Every client is told and closed, within `timeoutMs`; then the threads end. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#watcher);
    const threads = [...this.#threads.values()].filter((thread) => thread.isReady);
    const drained = threads.map(
      (thread) => new Promise<void>((resolve) => this.#drained.set(thread.shard, resolve)),
    );
    for (const thread of threads) thread.post({ kind: 'drain', timeoutMs });
    await Promise.race([Promise.all(drained), delay(timeoutMs + exitGraceMs)]);
    await this.stop();
  }

  /** Without goodbyes. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#watcher);
    const threads = [...this.#threads.values()];
    for (const thread of threads) thread.post({ kind: 'exit' });
    await Promise.race([Promise.all(threads.map((thread) => thread.exited)), delay(exitGraceMs)]);
    await Promise.all(threads.map((thread) => thread.terminate()));
  }

  // ---- events of a thread

  onMessage(thread: ShardThread, message: FromShard): void {
    if (message.kind === 'logs') this.#ctx.onLogLines(message.lines);
    if (message.kind === 'keys') this.#ctx.onKeys(message.jwks);
    if (message.kind === 'closed') this.#ctx.onSocketsClosed(thread.shard, message.addresses);
    if (message.kind === 'drained') this.#drained.get(thread.shard)?.();
  }

  onExit(thread: ShardThread): void {
    const { shard } = thread;
    if (this.#threads.get(shard) !== thread) return;
    this.#stalls.end(shard);
    this.#row(shard).clearGauges();
    this.#drained.get(shard)?.();
    this.#ctx.onShardGone(shard);
    for (const other of this.#others(shard)) other.post({ kind: 'unlink', peer: shard });
    if (this.#isStarted && !this.#isStopping) this.#restart(thread);
  }

  // ---- lives

  #spawn(shard: ShardId): ShardThread {
    const thread = new ShardThread(shard, this.#ctx.startOf(shard), this);
    this.#threads.set(shard, thread);
    return thread;
  }

  #onReady(thread: ShardThread): void {
    this.#stalls.begin(thread.shard, this.#ctx.clock.monotonicMs());
    for (const other of this.#others(thread.shard)) {
      // Those that are not served yet link themselves, when it is their turn.
      if (this.#stalls.isWatched(other.shard)) this.#fabric.link(thread, other);
    }
    this.#row(thread.shard).set('shardUp', 1);
  }

  /**
   * Within the budget, also when the successor dies before it serves: what it lacks (memory, say) may come back. A first
   * start that fails is not repeated: start() has rejected.
   */
  #restart(thread: ShardThread): void {
    const { shard, failure } = thread;
    const delayMs = this.#budget.take();
    if (delayMs === 'exhausted') {
      this.#ctx.log.fatal({ shard, err: failure }, 'a shard died and its restart budget is spent');
      return this.#ctx.onExhausted(`shard ${shard} ${failure?.message}`);
    }
    this.#ctx.log.error({ shard, err: failure, delayMs }, 'a shard died and is restarted');
    setTimeout(() => {
      if (this.#isStopping) return;
      this.#row(shard).add('shardRestarts');
      const successor = this.#spawn(shard);
      successor.ready.then(
        () => {
          this.#onReady(successor);
          this.#ctx.log.info({ shard }, 'the shard is back');
        },
        () => {}, // onExit has it
      );
    }, delayMs);
  }

  #watch(): void {
    const nowMs = this.#ctx.clock.monotonicMs();
    for (const thread of this.#threads.values()) {
      const state = this.#stalls.look(thread.shard, nowMs);
      if (state === 'slow') this.#ctx.log.warn({ shard: thread.shard }, 'the loop of a shard stands still');
      if (state !== 'stalled') continue;
      this.#ctx.log.error(
        { shard: thread.shard },
        'the loop of a shard stood still for too long; its thread is ended',
      );
      void thread.terminate();
    }
  }

  #others(shard: ShardId): ShardThread[] {
    return [...this.#threads.values()].filter((thread) => thread.shard !== shard && thread.isReady);
  }

  #thread(shard: ShardId): ShardThread {
    return this.#threads.get(shard) as ShardThread;
  }

  #row(shard: ShardId): MetricsRow {
    return new MetricsRow(this.#ctx.metrics, shard);
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
