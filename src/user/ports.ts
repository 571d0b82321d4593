/** What a user actor needs of the world around it. */
import type { Clock } from '#kit/clock.ts';
import type { MessageId, SessionId, ShardId, UserId, UserKey } from '#proto/names.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';
import type { Message } from '../wire/message.ts';

export interface UserContext {
  clock: Clock;
  /** Gives accepted messages their ids, once per key. One for all topics and users of the shard. */
  recentKeys: RecentKeys;
  sessions: SessionPort;
  /** Connections that one user may have. */
  sessionsMax: number;
}

/** Where the user's devices are. */
export interface SessionPort {
  /** One complete frame for these sessions of that shard. */
  deliver(shard: ShardId, sessions: SessionId[], frame: Uint8Array): void;
  /** The same message for the sender's own devices, by the sender's home. */
  copyToSender(sender: UserKey, copy: DirectCopy): void;
}

/** A direct message that was accepted and has its id. */
export interface DirectCopy {
  to: UserId;
  message: Message;
  messageId: MessageId;
  /** The sending session, which got a reply instead. */
  except: SessionId | undefined;
}
