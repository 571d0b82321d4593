/** What a session can be, and what it remembers while it is. */

import type { ClientEnvelope } from '#proto/data.ts';
import type { TopicKey, UserId } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { Identity } from '../auth/token-claims.ts';
import { type DevicePresence, plainPresence } from '../presence/device-presence.ts';
import type { MembersPage } from '../presence/presence-board.ts';
import type { SessionName } from '../presence/session-told.ts';
import type { FoundMessage } from '../store/history-store.ts';
import type { Since } from '../wire/message.ts';
import type { BoardLane } from './board-lane.ts';
import type { LaneReceipts } from './lane-receipts.ts';
import type { Outcome } from './outcome.ts';
import type { Recovery } from './recovery.ts';
import type { Resumption } from './resumption.ts';
import { Subscriptions } from './subscriptions.ts';

export type SessionPhase =
  /** Connected, without a token yet. Only `Auth` and `Ping` are handled. */
  | { name: 'connecting'; deadlineMs: number }
  /** The token is good; the user's home and the topic of everyone do not know of the session yet. Envelopes wait. */
  | {
      name: 'attaching';
      identity: Identity;
      /** The `Auth` that brought the token: answered after `Status Connect`, which is the first frame. */
      command: ClientEnvelope | undefined;
    }
  | LivePhase
  /** A close frame was sent; nothing is handled or delivered any more. */
  | { name: 'closing'; code: number }
  | { name: 'closed' };

export interface LivePhase {
  name: 'live';
  identity: Identity;
  subscriptions: Subscriptions;
  /** While a stretch of the inbox is read that came before this session. */
  inboxRecovery: Recovery | 'asked' | undefined;
  /** `System token_expiring` was sent for this token. */
  isExpiryAnnounced: boolean;
  /** How the user is on this device. */
  presence: DevicePresence;
  /** Users whose presence it follows; undefined: none. */
  watching: Set<UserId> | undefined;
  /** Where the news of those users come; made with the first one. */
  follower: BoardLane | undefined;
  /** Another device of the user is invisible. */
  isHidden: boolean;
  /** A session is being taken over; undefined before and after. */
  resumption: 'asked' | Resumption | undefined;
  /** The session that this one took over. */
  former: SessionName | undefined;
}

/** With nothing subscribed. */
export function livePhase(identity: Identity, isHidden: boolean): LivePhase {
  // Property by property: V8 makes one object of it, of spread ones an object and a list.
  return {
    name: 'live',
    identity,
    subscriptions: new Subscriptions(),
    inboxRecovery: undefined,
    isExpiryAnnounced: false,
    presence: plainPresence,
    watching: undefined,
    follower: undefined,
    isHidden,
    resumption: undefined,
    former: undefined,
  };
}

export interface Subscription {
  key: TopicKey;
  lane: LaneSpec;
  /** While it catches up. */
  recovery: Recovery | undefined;
  /** Others see that the user is there, and the client sees the others, whose news come here. */
  members: BoardLane | undefined;
  /** Of a topic with a log, from the answer of its home on. */
  taken: TakenPosition | undefined;
}

/** How far the client has come with a log. */
export interface TakenPosition {
  epoch: string;
  /** Where it began to get what comes by itself. */
  joined: number;
  /** What it surely has: it has answered a ping that was sent behind it. */
  sure: number;
  /** What went before the last ping. */
  pinged: number;
}

/** A command whose answer is on its way; `subscription` is what a `Subscribe` waits for. */
export interface WaitingCommand {
  envelope: ClientEnvelope;
  subscription?: Subscription;
  /** What a `Subscribe` to the inbox has asked for. */
  since?: Since | undefined;
  /** What an `Edit`, a `Delete` or a `DeliveryStatus` is about, once it was found. */
  found?: FoundMessage[];
  /** What became of the lanes that it joined. */
  lanes?: LaneReceipts;
  /** Users that a `PresenceSubscribe` follows and that were not followed before. */
  added?: UserId[];
  /** Who else is in the topic that a `Subscribe` with presence is about, once it has been entered. */
  members?: MembersPage;
  /** Who wants to know what becomes of it, where that is not the client. */
  onOutcome?: OnOutcome;
}

export type OnOutcome = (outcome: Outcome) => void;
