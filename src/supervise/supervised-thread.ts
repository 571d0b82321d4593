/**
 * The life of one thread, of a shard or of the store: started, ready, gone. A restart is a new SupervisedThread.
 * Thread: primary. Owned by supervisor.ts.
 */
import { Worker } from 'node:worker_threads';
import type { FromShard, FromStore, ToShard, ToStore } from '#proto/control.ts';
import { type ShardId, storePeer } from '#proto/names.ts';

const entryPoints = {
  shard: new URL('../../workers/shard.ts', import.meta.url),
  store: new URL('../../workers/store.ts', import.meta.url),
};
/**
 * Room of a shard for young objects. V8 lets it grow to 100 MB and more under a storm of connections and keeps it: measured
 * at 10,000 idle connections, 18 kB each with V8's own limit, 10 kB with 12 to 48 MB, at the same CPU per handshake and per
 * delivery. Megabytes.
 */
const youngGenerationMb = 24;
/** A thread that is not ready by then never will be, milliseconds. */
const readyTimeoutMs = 30_000;

export interface ThreadEvents {
  onMessage(thread: SupervisedThread, message: FromShard | FromStore): void;
  /** Once, when the thread is gone, for whatever reason. */
  onExit(thread: SupervisedThread): void;
}

export class SupervisedThread {
  /** Number of the shard, or `storePeer`. */
  readonly peer: ShardId;
  /** Settles when the shard can take sockets; rejects when the thread ends before. */
  readonly ready: Promise<void>;
  /** Settles when the thread is gone. */
  readonly exited: Promise<void>;
  readonly #worker: Worker;
  #state: 'starting' | 'ready' | 'gone' = 'starting';
  #failure: Error | undefined;

  /** `start` is what the thread is born with: a ShardStart or a StoreStart. */
  constructor(peer: ShardId, start: object, events: ThreadEvents) {
    this.peer = peer;
    this.#worker = new Worker(peer === storePeer ? entryPoints.store : entryPoints.shard, {
      workerData: start,
      name: this.name,
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const exit = Promise.withResolvers<void>();
    this.ready = promise;
    this.exited = exit.promise;
    const timeout = setTimeout(() => void this.#worker.terminate(), readyTimeoutMs);
    this.#worker.on('message', (message: FromShard | FromStore) => {
      if (message.kind === 'ready') {
        clearTimeout(timeout);
        this.#state = 'ready';
        resolve();
      } else if (message.kind === 'failed') {
        this.#failure = new Error(message.reason);
      } else {
        events.onMessage(this, message);
      }
    });
    // `throw undefined` in a worker arrives as undefined.
    this.#worker.on('error', (error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(`threw ${String(error)}`);
    });
    this.#worker.on('exit', (code) => {
      clearTimeout(timeout);
      this.#state = 'gone';
      this.#failure ??= new Error(`exited with ${code}`);
      reject(this.#failure);
      exit.resolve();
      events.onExit(this);
    });
    promise.catch(() => {}); // whoever waits for it hears; a restart that fails is handled by onExit
  }

  get name(): string {
    return this.peer === storePeer ? 'store' : `shard ${this.peer}`;
  }

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  /** Why the thread is gone. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  post(message: ToShard | ToStore, transfer: object[] = []): void {
    this.#worker.postMessage(message, transfer as never[]);
  }

  /** Ends the thread wherever it is; waits for native calls only. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}
