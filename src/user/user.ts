/**
 * The actor of one user over all their devices: which sessions there are, and what reaches them directly.
 * Thread: the user's home shard, and only there. Called by shard/user-table.ts.
 * Synchronous, no I/O. It has no queue of its own: what it accepts it hands on in the same call.
 */
import type { Encoding } from '#proto/envelope.ts';
import { refusal } from '#proto/error-codes.ts';
import {
  type SessionId,
  type ShardId,
  type TopicName,
  type UserId,
  type UserKey,
  userOfKey,
} from '#proto/names.ts';
import { encodePublication, type Publication } from '../wire/encode-frame.ts';
import { type Answer, type Message, refused } from '../wire/message.ts';
import type { DirectCopy, UserContext } from './ports.ts';

interface Device {
  shard: ShardId;
  encoding: Encoding;
}

interface DeviceGroup extends Device {
  sessions: SessionId[];
}

export class User {
  readonly key: UserKey;
  readonly #id: UserId;
  readonly #ctx: UserContext;
  readonly #devices = new Map<SessionId, Device>();

  constructor(key: UserKey, ctx: UserContext) {
    this.key = key;
    this.#id = userOfKey(key);
    this.#ctx = ctx;
  }

  /** No device is left: the actor may be dropped. */
  get isIdle(): boolean {
    return this.#devices.size === 0;
  }

  /** A session of this user begins. Idempotent; refused beyond the limit. */
  attach(session: SessionId, device: Device): Answer {
    if (!this.#devices.has(session) && this.#devices.size >= this.#ctx.sessionsMax) {
      return refused(refusal('limit_exceeded', `the user has ${this.#ctx.sessionsMax} connections already`));
    }
    this.#devices.set(session, device);
    return { ok: true };
  }

  detach(session: SessionId): void {
    this.#devices.delete(session);
  }

  /** The thread of `shard` died, and its sessions with it. */
  dropShard(shard: ShardId): void {
    for (const [session, device] of this.#devices) {
      if (device.shard === shard) this.#devices.delete(session);
    }
  }

  /** A message to this user. Accepted also when no device is connected: direct messages are volatile so far. */
  direct(sender: UserKey, message: Message, sendingSession: SessionId | undefined): Answer {
    const { isNew, answer } = this.#ctx.recentKeys.accept(`user|${this.key}|${sender}`, message);
    if (!isNew) return answer;
    const copy: DirectCopy = {
      to: this.#id,
      message,
      messageId: answer.messageId,
      except: sendingSession,
    };
    this.deliver(copy);
    if (sender !== this.key) this.#ctx.sessions.copyToSender(sender, copy);
    return answer;
  }

  /** To all devices but one. Encoded once per encoding, one record per shard. */
  deliver(copy: DirectCopy): void {
    const groups = this.#groupsWithout(copy.except);
    if (groups.length === 0) return;
    const publication = this.#publicationOf(copy);
    const frames: { [Key in Encoding]?: Uint8Array } = {};
    for (const { shard, encoding, sessions } of groups) {
      frames[encoding] ??= encodePublication(publication, encoding);
      this.#ctx.sessions.deliver(shard, sessions, frames[encoding]);
    }
  }

  /** Devices that get the same bytes by the same way. A handful, so that looking through them beats a map. */
  #groupsWithout(except: SessionId | undefined): DeviceGroup[] {
    const groups: DeviceGroup[] = [];
    for (const [session, { shard, encoding }] of this.#devices) {
      if (session === except) continue;
      const group = groups.find((other) => other.shard === shard && other.encoding === encoding);
      if (group === undefined) groups.push({ shard, encoding, sessions: [session] });
      else group.sessions.push(session);
    }
    return groups;
  }

  #publicationOf({ to, message, messageId }: DirectCopy): Publication {
    const { from, event, priority, payload } = message;
    return {
      type: 'DirectMessage',
      id: messageId,
      topic: `inbox:${this.#id}` as TopicName,
      from,
      to,
      event,
      priority,
      payload,
      timestamp: this.#ctx.clock.wallMs(),
    };
  }
}
