/** One process of the load generator, as the parent sees it: orders go in, replies come out. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';

export class LoadProcess<Order extends object | string, Reply> {
  readonly #child: ChildProcess;

  /** `file` is a name in bench/load. */
  constructor(file: string) {
    this.#child = fork(join(import.meta.dirname, 'load', file));
  }

  /** Resolves with the reply; rejects when the process ends instead. */
  async order(order: Order): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const onExit = (code: number | null) => reject(new Error(`a process of the load ended with ${code}`));
    this.#child.once('message', (reply) => resolve(reply as Reply)).once('exit', onExit);
    this.#child.send(order);
    try {
      return await promise;
    } finally {
      this.#child.off('exit', onExit);
    }
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
