/** What a user actor needs of the world around it. */
import type { MessageId, SessionId, ShardId, TopicName, UserId, UserKey } from '#proto/names.ts';
import type { DeliveryClass, ReceiptKind } from '#proto/record.ts';
import type { LogContext } from '../log/ports.ts';
import type { BoardContext } from '../presence/ports.ts';
import type { RecentKeys } from '../protect/recent-keys.ts';
import type { TopicClass } from '../routing/topic-class.ts';
import type { Message } from '../wire/message.ts';
import type { KeepBuffer } from './keep-buffer.ts';

export interface UserContext extends LogContext, BoardContext {
  /** The shard of this home. */
  self: ShardId;
  keeps: KeepBuffer;
  counters: UserCounters;
  /** A lost connection may be resumed for so long, milliseconds. */
  sessionTtlMs: number;
  /** What is known of this user is kept over a restart: their inbox is stored. */
  isKept: (user: UserKey) => boolean;
  /** Gives accepted messages their ids, once per key. One for all topics and users of the shard. */
  recentKeys: RecentKeys;
  sessions: SessionPort;
  /** Connections that one user may have. */
  sessionsMax: number;
  /** By the rules of the configuration. */
  classOf: (topic: TopicName) => TopicClass;
  homeOf: (user: UserKey) => ShardId;
}

/** Where the user's devices are. */
export interface SessionPort {
  /**
   * One complete frame for these sessions of that shard; `inboxOffset` is its place in the inbox, where it is stored.
   * 'lost' when there was no room on the way.
   */
  deliver: (
    shard: ShardId,
    sessions: SessionId[],
    inboxOffset: number | undefined,
    frame: Uint8Array,
    delivery: DeliveryClass,
  ) => 'sent' | 'lost';
  /** Another connection takes this session over: it closes, and parks. */
  replace: (shard: ShardId, session: SessionId) => void;
  /** Another device of the user is invisible, or is not any more: the topics that they are members of must hear. */
  hide: (shard: ShardId, sessions: SessionId[], isHidden: boolean) => void;
  /** Tells these sessions of that shard that something was lost, and that nothing follows. */
  tellLost: (shard: ShardId, sessions: SessionId[]) => void;
  /** To the home of `user`, for their devices: `by` got or read what they wrote. */
  tellReceipt: (user: UserKey, receipt: { by: UserId; kind: ReceiptKind; offset: number }) => void;
  /** A message that is not stored, for the sender's own devices, by the sender's home. */
  copyToSender: (sender: UserKey, copy: DirectCopy) => void;
}

export interface UserCounters {
  /** Sessions without a connection, up or down. */
  detached(change: number): void;
  resumed(outcome: 'resumed' | 'failed'): void;
  /** Not delivered because there was too much of it. */
  dropped(what: 'typing', count: number): void;
}

/** A direct message that was accepted, has its id and is not stored. */
export interface DirectCopy {
  to: UserId;
  message: Message;
  messageId: MessageId;
  /** The sending session, which got a reply instead. */
  except: SessionId | undefined;
}

/** The actor, as its parts see it. */
export interface QuietListener {
  /** A part has nothing left to do, because time has passed. */
  onQuiet(): void;
}
