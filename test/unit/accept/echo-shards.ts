/** Real threads in the place of shards: each echoes on the sockets it is given, with its number before it. */

import type { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { AdmissionVerdict } from '#proto/control.ts';
import type { ShardId } from '#proto/names.ts';
import type { ShardDirectory } from '../../../src/accept/ports.ts';

const code = `
  import { parentPort, workerData } from 'node:worker_threads';
  parentPort.on('message', ({ socket, address, verdict }) => {
    if (socket === undefined) return process.exit(0);
    socket.on('data', (bytes) => socket.write(workerData + ' ' + address + ' ' + verdict + ' ' + bytes));
    socket.on('error', () => socket.destroy());
    socket.resume();
  });`;

export class EchoShards implements ShardDirectory {
  readonly shardCount: number;
  /** What the directory believes; a thread that has ended may still count as up. */
  readonly down = new Set<ShardId>();
  /** Shards asked to take a socket, in order. */
  readonly asked: ShardId[] = [];
  readonly #threads: Worker[];

  constructor(shardCount: number) {
    this.shardCount = shardCount;
    const source = new URL(`data:text/javascript,${encodeURIComponent(code)}`);
    this.#threads = Array.from(
      { length: shardCount },
      (_, shard) => new Worker(source, { workerData: shard }),
    );
  }

  isUp(shard: ShardId): boolean {
    return !this.down.has(shard);
  }

  tryHandOver(shard: ShardId, socket: Socket, address: string, verdict: AdmissionVerdict): boolean {
    this.asked.push(shard);
    this.#threads[shard]!.postMessage({ address, verdict, socket }, [socket as never]);
    return socket.destroyed;
  }

  /** Ends the thread; the directory goes on believing in it. */
  async kill(shard: ShardId): Promise<void> {
    await this.#threads[shard]!.terminate();
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}
