/**
 * So many sockets at a time: each costs its shard more to receive than the primary to accept, and a shard that receives
 * a thousand at once serves nobody meanwhile.
 * Thread: primary. Owned by listener.ts. Who waits is neither judged nor read yet, and waits no longer than others of a
 * burst would in the backlog of the kernel.
 */
import type { Socket } from 'node:net';

/**
 * Sockets per shard: 0.07 ms of its time each, so about a quarter of it. It bounds the handshakes of a shard as well. Four
 * every millisecond are as many, and woke both threads so often that a handshake cost 0.29 ms instead of 0.22.
 */
const perShard = 16;
const everyMs = 4;
/** More are ended at once. */
const waitingMax = 16_384;

export class HandoverPace {
  readonly #perTick: number;
  readonly #next: (socket: Socket) => void;
  #waiting: Socket[] = [];
  #left: number;
  #isTicking = false;

  /** `next` takes the sockets in the order of `push`: the first ones at once. */
  constructor(shardCount: number, next: (socket: Socket) => void) {
    this.#perTick = shardCount * perShard;
    this.#left = this.#perTick;
    this.#next = next;
  }

  push(socket: Socket): void {
    if (this.#left > 0) return this.#pass(socket);
    if (this.#waiting.length < waitingMax) this.#waiting.push(socket);
    else socket.destroy();
  }

  #pass(socket: Socket): void {
    this.#left--;
    if (!this.#isTicking) setTimeout(this.#tick, everyMs);
    this.#isTicking = true;
    this.#next(socket);
  }

  readonly #tick = (): void => {
    this.#isTicking = false;
    this.#left = this.#perTick;
    for (const socket of this.#waiting.splice(0, this.#perTick)) this.#pass(socket);
  };
}
