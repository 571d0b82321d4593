/** What a session can be, and what it remembers while it is. */

import type { ClientEnvelope } from '#proto/data.ts';
import type { TopicKey } from '#proto/names.ts';
import type { LaneSpec } from '#proto/record.ts';
import type { Identity } from '../auth/token-claims.ts';
import type { FoundMessage } from '../store/history-store.ts';
import type { Since } from '../wire/message.ts';
import type { Recovery } from './recovery.ts';
import type { Subscriptions } from './subscriptions.ts';

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
}

export interface Subscription {
  key: TopicKey;
  lane: LaneSpec;
  /** While it catches up. */
  recovery: Recovery | undefined;
}

/** A command whose answer is on its way; `subscription` is what a `Subscribe` waits for. */
export interface WaitingCommand {
  envelope: ClientEnvelope;
  subscription?: Subscription;
  /** What a `Subscribe` to the inbox has asked for. */
  since?: Since | undefined;
  /** What an `Edit`, a `Delete` or a `DeliveryStatus` is about, once it was found. */
  found?: FoundMessage[];
}
