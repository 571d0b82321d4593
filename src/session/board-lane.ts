/**
 * The news of boards on their way to one session: held back while the list that they continue is still to be told.
 * Thread: shard. One for the members of each topic that the session is a member of, one for all users it follows. A list
 * may wait for other homes or for the store; what changed meanwhile must not come before it.
 */
import type { TopicName } from '#proto/names.ts';
import type { DeliveryClass } from '#proto/record.ts';
import type { Subscriber } from './ports.ts';

/** More is let go: a home that does not answer for so long owes more than an order. */
const heldMax = 1_000;

interface Held {
  frames: Uint8Array;
  frameCount: number;
  delivery: DeliveryClass;
}

export class BoardLane implements Subscriber {
  readonly #session: Subscriber;
  readonly #held: Held[] = [];
  /** Lists on their way. */
  #holds = 0;

  constructor(session: Subscriber) {
    this.#session = session;
  }

  hold(): void {
    this.#holds++;
  }

  /** The list is told, or will not be. */
  release(): void {
    this.#holds--;
    if (this.#holds <= 0) this.#letGo();
  }

  deliver(frames: Uint8Array, frameCount: number, delivery: DeliveryClass): void {
    if (this.#holds <= 0) return this.#session.deliver(frames, frameCount, delivery);
    this.#held.push({ frames, frameCount, delivery });
    if (this.#held.length >= heldMax) this.#letGo();
  }

  onLost(topic: TopicName, reason: string): void {
    this.#session.onLost(topic, reason);
  }

  #letGo(): void {
    for (const { frames, frameCount, delivery } of this.#held.splice(0))
      this.#session.deliver(frames, frameCount, delivery);
  }
}
