/**
 * Gives every pair of threads, shards and store, its rings and doorbell, new ones whenever one of the two is new.
 * Thread: primary. Called by the supervisor. Rings of a dead thread are never used again: nobody knows how it left them.
 */
import { MessageChannel } from 'node:worker_threads';
import { allocateRing } from '../ring/ring-layout.ts';
import type { SupervisedThread } from './supervised-thread.ts';

export class RingFabric {
  readonly #ringBytes: number;
  #generation = 0;

  constructor(ringBytes: number) {
    this.#ringBytes = ringBytes;
  }

  /** Links `one` and `other`, replacing what was there. */
  link(one: SupervisedThread, other: SupervisedThread): void {
    const generation = ++this.#generation;
    const there = allocateRing(this.#ringBytes, generation);
    const back = allocateRing(this.#ringBytes, generation);
    const { port1, port2 } = new MessageChannel();
    one.post({ kind: 'link', peer: other.peer, outbound: there, inbound: back, doorbell: port1 }, [port1]);
    other.post({ kind: 'link', peer: one.peer, outbound: back, inbound: there, doorbell: port2 }, [port2]);
  }
}
