/**
 * The user actors whose home is this shard.
 * Thread: shard. Called by user-port.ts (sessions of this shard) and ring-intake.ts (the others).
 */
import type { Encoding } from '#proto/envelope.ts';
import type { SessionId, ShardId, UserKey } from '#proto/names.ts';
import type { DirectCopy, UserContext } from '../user/ports.ts';
import { User } from '../user/user.ts';
import type { Answer, Message } from '../wire/message.ts';

export class UserTable {
  readonly #ctx: UserContext;
  readonly #users = new Map<UserKey, User>();

  constructor(ctx: UserContext) {
    this.#ctx = ctx;
  }

  get size(): number {
    return this.#users.size;
  }

  attach(key: UserKey, session: SessionId, shard: ShardId, encoding: Encoding): Answer {
    const user = this.#users.get(key) ?? new User(key, this.#ctx);
    const answer = user.attach(session, { shard, encoding });
    if (!user.isIdle) this.#users.set(key, user);
    return answer;
  }

  detach(key: UserKey, session: SessionId): void {
    const user = this.#users.get(key);
    user?.detach(session);
    if (user?.isIdle) this.#users.delete(key);
  }

  direct(key: UserKey, message: Message, sender: UserKey, session: SessionId | undefined): Answer {
    // A user without devices still accepts: an actor of one call.
    const user = this.#users.get(key) ?? new User(key, this.#ctx);
    return user.direct(sender, message, session);
  }

  /** The sender's own copy of a message that its recipient's home accepted. */
  deliverCopy(key: UserKey, copy: DirectCopy): void {
    this.#users.get(key)?.deliver(copy);
  }

  dropShard(shard: ShardId): void {
    for (const [key, user] of [...this.#users]) {
      user.dropShard(shard);
      if (user.isIdle) this.#users.delete(key);
    }
  }
}
