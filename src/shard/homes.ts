/** Where names live: the home shard of a topic or user. The same answer in every thread. */
import { type ShardId, type TopicKey, topicOfMembers, type UserKey, watchedUser } from '#proto/names.ts';
import { HashRing } from '../routing/hash-ring.ts';

export class Homes {
  readonly self: ShardId;
  readonly #ring: HashRing;

  constructor(self: ShardId, shardCount: number) {
    this.self = self;
    this.#ring = new HashRing(shardCount);
  }

  of(name: TopicKey | UserKey): ShardId {
    return this.#ring.shardOf(name);
  }

  /** Of a lane: boards of presence live where what they are about lives. */
  ofLane(key: TopicKey): ShardId {
    return this.of(watchedUser(key) ?? topicOfMembers(key) ?? key);
  }
}
