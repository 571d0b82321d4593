/**
 * The topic actors whose home is this shard.
 * Thread: shard. Called by topic-port.ts (sessions of this shard) and ring-intake.ts (the others).
 */
import type { ShardId, TopicKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { TopicContext } from '../topic/ports.ts';
import { Topic } from '../topic/topic.ts';
import type { Answer, Message } from '../wire/message.ts';

export class TopicTable {
  readonly #ctx: TopicContext;
  readonly #topics = new Map<TopicKey, Topic>();

  constructor(ctx: TopicContext) {
    this.#ctx = ctx;
  }

  get size(): number {
    return this.#topics.size;
  }

  subscribe(key: TopicKey, shard: ShardId, lane: LaneSpec): Answer {
    // Before anything is looked up: a flush may find readers too slow, and with the last of them the topic goes.
    this.#topics.get(key)?.flush();
    const topic = this.#topicOf(key);
    const answer = topic.subscribe(shard, lane);
    this.#dropIfIdle(topic);
    return answer;
  }

  unsubscribe(key: TopicKey, shard: ShardId, lane: LaneSpec): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    topic.unsubscribe(shard, lane);
    this.#dropIfIdle(topic);
  }

  /** `onAnswer` is called once: in this call, or when the store has answered. */
  publish(key: TopicKey, message: Message, onAnswer: (answer: Answer) => void): void {
    const topic = this.#topicOf(key);
    topic.publish(message, (answer) => {
      onAnswer(answer);
      this.#dropIfIdle(topic);
    });
  }

  dropShard(shard: ShardId): void {
    for (const topic of [...this.#topics.values()]) {
      topic.dropShard(shard);
      this.#dropIfIdle(topic);
    }
  }

  #topicOf(key: TopicKey): Topic {
    let topic = this.#topics.get(key);
    if (topic === undefined) {
      topic = new Topic(key, this.#ctx);
      this.#topics.set(key, topic);
    }
    return topic;
  }

  #dropIfIdle(topic: Topic): void {
    if (topic.isIdle && this.#topics.get(topic.key) === topic) this.#topics.delete(topic.key);
  }
}
