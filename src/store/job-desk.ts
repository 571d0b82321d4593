/**
 * Jobs that this thread has with the CPU pool, by way of the primary: asked with a number, answered with it.
 * Thread: store. Owned by store-control.ts. The pool bounds how many may wait; whoever asks waits for the answer.
 */
import type { FromStore, ToStore } from '#proto/control.ts';
import type { CpuJobs } from './archive-jobs.ts';

type Post = (message: FromStore, transfer: ArrayBuffer[]) => void;
type Done = Extract<ToStore, { kind: 'jobDone' }>;

/** `transfer`: buffers of the request that are given away. */
export type RunJob = <Name extends keyof CpuJobs>(
  name: Name,
  request: CpuJobs[Name]['request'],
  transfer?: ArrayBuffer[],
) => Promise<CpuJobs[Name]['answer']>;

export class JobDesk {
  readonly #post: Post;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;
  #isClosed = false;

  constructor(post: Post) {
    this.#post = post;
  }

  /** Rejects with what the job threw, or when the desk is closed. */
  run: RunJob = async (name, request, transfer = []) => {
    if (this.#isClosed) throw new Error('no job is begun any more');
    const waiting = Promise.withResolvers<unknown>();
    const id = ++this.#lastId;
    this.#waiting.set(id, waiting);
    this.#post({ kind: 'job', id, name, request, transfer }, transfer);
    return (await waiting.promise) as CpuJobs[typeof name]['answer'];
  };

  onDone({ id, answer, failure }: Done): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (failure === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(failure));
  }

  /** Nobody waits for what is running. */
  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#waiting.values()) reject(new Error('the job was abandoned'));
    this.#waiting.clear();
  }
}
