/**
 * The threads for work that would stall any other: archive compression. Started with the first job, gone when idle.
 * Thread: primary. Made by server.ts, asked by supervisor.ts on behalf of the store. An idle thread of piscina blocks its
 * event loop, so jobs own no socket, no timer and no connection. What is running when it stops is cut short: every job must
 * be safe to be cut.
 */
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { CpuJob } from '#proto/control.ts';

const entryPoint = fileURLToPath(new URL('../../workers/cpu-job.ts', import.meta.url));
const threadsMax = 2;
/** Jobs that wait; beyond, they are refused. */
const queueMax = 16;
/** A thread costs some 10 MB: it is kept for what comes soon, milliseconds. */
const idleTimeoutMs = 10_000;
/** Megabytes of one thread. A job has a few, ten times over: packed, as values, as text. */
const memoryMb = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 32 };
/** Behind the shards, where the system knows of that. */
const niceIncrement = 10;

export class CpuPool {
  #pool: Piscina | undefined;
  #isStopped = false;

  /** Rejects with what the job threw, or when there is no room or no pool any more. */
  async run({ name, request, transfer }: CpuJob): Promise<unknown> {
    if (this.#isStopped) throw new Error('the CPU pool is stopped');
    this.#pool ??= openPool();
    return this.#pool.run(request, { name, transferList: transfer });
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#pool?.destroy();
  }
}

function openPool(): Piscina {
  const pool = new Piscina({
    ...{ filename: entryPoint, minThreads: 0, maxThreads: threadsMax, maxQueue: queueMax },
    ...{ idleTimeout: idleTimeoutMs, resourceLimits: memoryMb, niceIncrement },
  });
  // A thread that dies without a job: the next job gets another one, and an event that nobody hears would end the process.
  pool.on('error', () => {});
  return pool;
}
