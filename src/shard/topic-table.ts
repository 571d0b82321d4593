/**
 * The topic actors whose home is this shard.
 * Thread: shard. Called by topic-port.ts (sessions of this shard) and ring-intake.ts (the others).
 */
import type { SessionId, ShardId, TopicKey, UserId } from '#proto/names.ts';
import type { LaneSpec, ReceiptKind } from '#proto/record.ts';
import type { DevicePresence } from '../presence/device-presence.ts';
import type { TopicContext } from '../topic/ports.ts';
import { Topic } from '../topic/topic.ts';
import type { Amendment, Answer, Message, Since } from '../wire/message.ts';

type OnAnswer = (answer: Answer) => void;

/** A session that becomes a member of a topic. */
export interface Entering {
  user: UserId;
  session: SessionId;
  presence: DevicePresence;
}

export class TopicTable {
  readonly #ctx: TopicContext;
  readonly #topics = new Map<TopicKey, Topic>();

  constructor(ctx: TopicContext) {
    this.#ctx = ctx;
  }

  get size(): number {
    return this.#topics.size;
  }

  /** Here and below, `onAnswer` is called once: in this call, or when the store has answered. */
  subscribe(
    key: TopicKey,
    shard: ShardId,
    lane: LaneSpec,
    since: Since | undefined,
    onAnswer: OnAnswer,
  ): void {
    const topic = this.#topicOf(key);
    topic.subscribe(shard, lane, since, this.#andLook(topic, onAnswer));
  }

  unsubscribe(key: TopicKey, shard: ShardId, lane: LaneSpec): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    topic.unsubscribe(shard, lane);
    this.#dropIfIdle(topic);
  }

  publish(key: TopicKey, message: Message, onAnswer: OnAnswer): void {
    const topic = this.#topicOf(key);
    topic.publish(message, this.#andLook(topic, onAnswer));
  }

  amend(key: TopicKey, amendment: Amendment, onAnswer: OnAnswer): void {
    const topic = this.#topicOf(key);
    topic.amend(amendment, this.#andLook(topic, onAnswer));
  }

  mark(key: TopicKey, user: UserId, mark: { kind: ReceiptKind; offset: number }, onAnswer: OnAnswer): void {
    const topic = this.#topicOf(key);
    topic.mark(user, mark, this.#andLook(topic, onAnswer));
  }

  /** A session is a member, or is so in another way; answered with who is there. */
  enter(key: TopicKey, shard: ShardId, { user, session, presence }: Entering, onAnswer: OnAnswer): void {
    const { board } = this.#topicOf(key);
    board.enter(user, session, shard, presence);
    onAnswer({ ok: true, result: board.overview() });
  }

  /** A member is there in another way; nothing, when it is none here: the home died, and its subscription with it. */
  change(key: TopicKey, shard: ShardId, { user, session, presence }: Entering): void {
    const topic = this.#topics.get(key);
    if (topic?.board.has(user, session) === true) topic.board.enter(user, session, shard, presence);
  }

  /** `isLost`: its connection broke, and it may come back. */
  leave(key: TopicKey, user: UserId, session: SessionId, isLost: boolean): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    if (isLost) topic.board.lose(user, session);
    else topic.board.leave(user, session);
    this.#dropIfIdle(topic);
  }

  members(key: TopicKey, after: UserId | undefined, limit: number, onAnswer: OnAnswer): void {
    const page = this.#topics.get(key)?.board.page(after, limit);
    onAnswer({ ok: true, result: page ?? { users: [], memberCount: 0, hasMore: false } });
  }

  watchMembers(key: TopicKey, shard: ShardId, lane: LaneSpec, isAgain: boolean): void {
    this.#topicOf(key).board.watch(shard, lane, isAgain);
  }

  unwatchMembers(key: TopicKey, shard: ShardId, lane: LaneSpec): void {
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    topic.board.unwatch(shard, lane);
    this.#dropIfIdle(topic);
  }

  typing(key: TopicKey, user: UserId, isActive: boolean): void {
    this.#topics.get(key)?.typing(user, isActive);
  }

  /** As for users. */
  onHeard(key: TopicKey, offset: number): void {
    this.#topics.get(key)?.onHeard(offset);
  }

  onStoreRestarted(): void {
    for (const topic of this.#topics.values()) topic.onStoreRestarted();
  }

  dropShard(shard: ShardId): void {
    for (const topic of [...this.#topics.values()]) {
      topic.dropShard(shard);
      this.#dropIfIdle(topic);
    }
  }

  #andLook(topic: Topic, onAnswer: OnAnswer): OnAnswer {
    return (answer) => {
      onAnswer(answer);
      this.#dropIfIdle(topic);
    };
  }

  #topicOf(key: TopicKey): Topic {
    let topic = this.#topics.get(key);
    if (topic === undefined) {
      const made: Topic = new Topic(key, this.#ctx, () => this.#dropIfIdle(made));
      topic = made;
      this.#topics.set(key, topic);
    }
    return topic;
  }

  #dropIfIdle(topic: Topic): void {
    if (topic.isIdle && this.#topics.get(topic.key) === topic) this.#topics.delete(topic.key);
  }
}
