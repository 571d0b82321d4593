/**
 * Whose actor has a lane: a topic, the members of one, or the presence of a user.
 * Thread: the home shard. Called by topic-port.ts (subscribers of this shard) and ring-intake.ts (the others).
 */
import { type ShardId, type TopicKey, topicOfMembers, watchedUser } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { Answer, Since } from '../wire/message.ts';
import type { TopicTable } from './topic-table.ts';
import type { UserTable } from './user-table.ts';

export class LaneHomes {
  readonly #topics: TopicTable;
  readonly #users: UserTable;

  constructor(topics: TopicTable, users: UserTable) {
    this.#topics = topics;
    this.#users = users;
  }

  /** `onAnswer` is called once: in this call, or when the store has answered. */
  subscribe(
    key: TopicKey,
    shard: ShardId,
    lane: LaneSpec,
    since: Since | undefined,
    onAnswer: (answer: Answer) => void,
  ): void {
    if (this.#watch(key, shard, lane, false)) onAnswer({ ok: true });
    else this.#topics.subscribe(key, shard, lane, since, onAnswer);
  }

  /** A lane that this home forgot when its thread was restarted. */
  subscribeAgain(key: TopicKey, shard: ShardId, lane: LaneSpec): void {
    if (!this.#watch(key, shard, lane, true)) this.#topics.subscribe(key, shard, lane, undefined, () => {});
  }

  unsubscribe(key: TopicKey, shard: ShardId, lane: LaneSpec): void {
    const user = watchedUser(key);
    if (user !== undefined) return this.#users.unwatch(user, shard, lane);
    const topic = topicOfMembers(key);
    if (topic !== undefined) return this.#topics.unwatchMembers(topic, shard, lane);
    this.#topics.unsubscribe(key, shard, lane);
  }

  /** False: it is about no board. */
  #watch(key: TopicKey, shard: ShardId, lane: LaneSpec, isAgain: boolean): boolean {
    const user = watchedUser(key);
    if (user !== undefined) {
      this.#users.watch(user, shard, lane, isAgain);
      return true;
    }
    const topic = topicOfMembers(key);
    if (topic !== undefined) this.#topics.watchMembers(topic, shard, lane, isAgain);
    return topic !== undefined;
  }
}
