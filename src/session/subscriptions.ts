/**
 * What one session subscribed, by topic.
 * Thread: shard. Owned by the live phase of session.ts, written by the handlers of `Subscribe` and `Unsubscribe`.
 * Empty it has no map: most connections of a large server are silent, and an empty map is 200 bytes.
 */
import type { TopicName } from '#proto/names.ts';
import type { Subscription } from './session-state.ts';

export class Subscriptions {
  #byTopic: Map<TopicName, Subscription> | undefined;

  get size(): number {
    return this.#byTopic?.size ?? 0;
  }

  get(topic: TopicName): Subscription | undefined {
    return this.#byTopic?.get(topic);
  }

  has(topic: TopicName): boolean {
    return this.#byTopic?.has(topic) === true;
  }

  set(topic: TopicName, subscription: Subscription): void {
    this.#byTopic ??= new Map();
    this.#byTopic.set(topic, subscription);
  }

  delete(topic: TopicName): void {
    this.#byTopic?.delete(topic);
  }

  topics(): TopicName[] {
    return [...(this.#byTopic?.keys() ?? [])];
  }

  values(): Subscription[] {
    return [...(this.#byTopic?.values() ?? [])];
  }
}
