/**
 * The user actors whose home is this shard.
 * Thread: shard. Called by user-port.ts (sessions of this shard) and ring-intake.ts (the others).
 */
import type { Encoding } from '#proto/envelope.ts';
import {
  type SessionId,
  type ShardId,
  type Tenant,
  type TopicKey,
  tenantOfKey,
  topicOfKey,
  type UserId,
  type UserKey,
  userKey,
  userOfInbox,
  userOfKey,
} from '#proto/names.ts';
import type { LaneSpec, ReceiptKind } from '#proto/record.ts';
import { presenceOf, type UserPresence } from '../presence/device-presence.ts';
import type { SessionTold } from '../presence/session-told.ts';
import type { SeenUser, StoredMessage } from '../store/history-store.ts';
import { pastOf } from '../user/keep-buffer.ts';
import type { DirectCopy, UserContext } from '../user/ports.ts';
import { User, type UserOwner } from '../user/user.ts';
import type { Amendment, Answer, Message, Since } from '../wire/message.ts';

type OnAnswer = (answer: Answer) => void;

/** A session that attaches, and how to reach it. */
export interface Attaching {
  session: SessionId;
  shard: ShardId;
  encoding: Encoding;
  /** Of its resume token. */
  tokenHash: string | undefined;
  /** Of one that attaches again. */
  told?: SessionTold | undefined;
}

export class UserTable implements UserOwner {
  readonly #ctx: UserContext;
  readonly #users = new Map<UserKey, User>();

  constructor(ctx: UserContext) {
    this.#ctx = ctx;
  }

  get size(): number {
    return this.#users.size;
  }

  /** Here and below, `onAnswer` is called once: in this call, or when the store has answered. */
  attach(
    key: UserKey,
    { session, ...device }: Attaching,
    since: Since | undefined,
    onAnswer: OnAnswer,
  ): void {
    const user = this.#userOf(key);
    user.attach(session, device, since, this.#andLook(user, onAnswer));
  }

  detach(key: UserKey, session: SessionId): void {
    this.#tell(key, (user) => user.sessions.close(session));
  }

  /** What a session would be resumed with. */
  tell(key: UserKey, session: SessionId, told: SessionTold): void {
    this.#tell(key, (user) => user.sessions.tell(session, told));
  }

  /** A session lost its connection. */
  park(key: UserKey, session: SessionId, told: SessionTold, tokenHash: string): void {
    const user = this.#userOf(key);
    user.sessions.park(session, told, tokenHash);
    this.onIdle(user);
  }

  /** The same of one session, whoever's it is: for administrators, since every user is looked at. */
  forgetSession(tenant: Tenant, session: SessionId): boolean {
    for (const user of [...this.#users.values()]) {
      if (tenantOfKey(user.key) !== tenant || !user.sessions.forgetOne(session)) continue;
      this.onIdle(user);
      return true;
    }
    return false;
  }

  /** Nobody may take over what this user has lost. */
  forget(key: UserKey): void {
    this.#tell(key, (user) => user.sessions.forget());
  }

  resume(
    key: UserKey,
    { session, former, tokenHash }: { session: SessionId; former: SessionId; tokenHash: string },
    onAnswer: OnAnswer,
  ): void {
    const user = this.#userOf(key);
    user.sessions.resume(session, former, tokenHash, this.#andLook(user, onAnswer));
  }

  typing(key: UserKey, from: UserId, isActive: boolean): void {
    this.#tell(key, (user) => user.typing(from, isActive));
  }

  /** `isAgain`: the home that they watched before died. */
  watch(key: UserKey, shard: ShardId, lane: LaneSpec, isAgain: boolean): void {
    this.#userOf(key).sessions.presence.watch(shard, lane, isAgain);
  }

  unwatch(key: UserKey, shard: ShardId, lane: LaneSpec): void {
    this.#tell(key, (user) => user.sessions.presence.unwatch(shard, lane));
  }

  /** How users are, in the order asked; the store is asked for those who are not there and were not seen here. */
  presences(keys: readonly UserKey[], onAnswer: OnAnswer): void {
    const unknown = keys.filter((key) => {
      const { status, lastSeen } = this.#presenceNow(key);
      return status === 'offline' && lastSeen === undefined && this.#ctx.isKept(key);
    });
    const answer = (known: readonly SeenUser[]) => {
      const pasts = new Map(known.map((row) => [row.user, pastOf(row)]));
      // As they are now: somebody may have come while the store was asked.
      const users = keys.map((key) => {
        const now = this.#presenceNow(key);
        const past = pasts.get(key);
        const isUnknown = now.status === 'offline' && now.lastSeen === undefined && past !== undefined;
        return isUnknown ? presenceOf(userOfKey(key), [], past) : now;
      });
      onAnswer({ ok: true, result: users });
    };
    if (unknown.length === 0) return answer([]);
    const sent = this.#ctx.store.ask('seen', { users: unknown }, (known) => answer(known ?? []));
    if (sent !== 'sent') answer([]);
  }

  /** A user without devices accepts as well. */
  direct(
    key: UserKey,
    message: Message,
    sender: UserKey,
    session: SessionId | undefined,
    onAnswer: OnAnswer,
  ): void {
    const user = this.#userOf(key);
    user.direct(sender, message, session, this.#andLook(user, onAnswer));
  }

  amend(key: UserKey, other: UserKey, amendment: Amendment, onAnswer: OnAnswer): void {
    const user = this.#userOf(key);
    user.amend(other, amendment, this.#andLook(user, onAnswer));
  }

  mark(key: UserKey, kind: ReceiptKind, offset: number, onAnswer: OnAnswer): void {
    const user = this.#userOf(key);
    user.mark(kind, offset, this.#andLook(user, onAnswer));
  }

  /** For the devices of who wrote it, if there are any. */
  deliverReceipt(key: UserKey, by: UserId, kind: ReceiptKind, offset: number): void {
    this.#users.get(key)?.deliverReceipt(by, kind, offset);
  }

  /** The store's word on an inbox that another home wrote to; nothing, when nobody of that user is here. */
  onCopied(inbox: TopicKey, message: StoredMessage, except: SessionId | undefined): void {
    const key = userKey(tenantOfKey(inbox), userOfInbox(topicOfKey(inbox)) as UserId);
    this.#users.get(key)?.onCopied(message, except);
  }

  /** As onCopied, of an entry that was stored before. */
  onHeard(inbox: TopicKey, offset: number): void {
    const key = userKey(tenantOfKey(inbox), userOfInbox(topicOfKey(inbox)) as UserId);
    this.#users.get(key)?.onHeard(offset);
  }

  onStoreRestarted(): void {
    for (const user of this.#users.values()) user.onStoreRestarted();
  }

  /** The sender's own copy of a message that is not stored, and that its recipient's home accepted. */
  deliverCopy(key: UserKey, copy: DirectCopy): void {
    this.#users.get(key)?.deliver(copy);
  }

  dropShard(shard: ShardId): void {
    for (const user of [...this.#users.values()]) {
      user.sessions.dropShard(shard);
      this.onIdle(user);
    }
  }

  /** Called by a user, and after each command. */
  onIdle(user: User): void {
    if (user.isIdle && this.#users.get(user.key) === user) this.#users.delete(user.key);
  }

  /** Nothing, when nobody of that user is here. */
  #tell(key: UserKey, tell: (user: User) => void): void {
    const user = this.#users.get(key);
    if (user === undefined) return;
    tell(user);
    this.onIdle(user);
  }

  #presenceNow(key: UserKey): UserPresence {
    const user = this.#users.get(key);
    return user?.sessions.presence.now() ?? presenceOf(userOfKey(key), [], this.#ctx.keeps.pastOf(key));
  }

  #andLook(user: User, onAnswer: OnAnswer): OnAnswer {
    return (answer) => {
      onAnswer(answer);
      this.onIdle(user);
    };
  }

  #userOf(key: UserKey): User {
    let user = this.#users.get(key);
    if (user === undefined) {
      user = new User(key, this.#ctx, this);
      this.#users.set(key, user);
    }
    return user;
  }
}
