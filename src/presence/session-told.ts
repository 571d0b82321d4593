/**
 * What a session tells its user's home: with it another connection can go on where this one ended.
 * Thread: shard; between threads and in the store it is packed by wire/codec.ts.
 */
import type { SessionId, TopicName, UserId } from '#proto/names.ts';
import type { Position } from '../wire/message.ts';
import type { DevicePresence } from './device-presence.ts';

export interface SessionTold {
  /** The session that this one took over, by the name that its client called it. */
  former?: SessionName | undefined;
  presence?: DevicePresence | undefined;
  subscriptions: ToldSubscription[];
  /** Users whose presence it follows. */
  watching: UserId[];
  /** Up to where its client surely has the inbox. */
  inbox?: Position | undefined;
}

/** How a client proves that a session was its own. */
export interface SessionName {
  session: SessionId;
  tokenHash: string;
}

export interface ToldSubscription {
  topic: TopicName;
  /** Canonical JSON, '' for none. */
  filter: string;
  /** As a member that others see. */
  isMember: boolean;
  /** Up to where its client surely has the topic; undefined where nobody knows. */
  position?: Position | undefined;
}

/** Of a session that has told nothing. */
export const nothingTold: SessionTold = { subscriptions: [], watching: [] };
