/**
 * What a session tells the homes: how its user is, what it would be resumed with, and that it is gone.
 * Thread: shard. Called by session.ts.
 */
import type { CloseName } from '#proto/close-codes.ts';
import type { Encoding } from '#proto/envelope.ts';
import { nameOfMembers, presenceOfUser, type SessionId, type TopicName, userKey } from '#proto/names.ts';
import type { DevicePresence } from '../presence/device-presence.ts';
import type { SessionTold } from '../presence/session-told.ts';
import type { Attachment } from './attachment.ts';
import type { SessionContext, Subscriber } from './ports.ts';
import type { Session } from './session.ts';
import type { LivePhase } from './session-state.ts';
import { endSubscription, type PositionsAsOf } from './subscriptions.ts';

/**
 * Up to where a client is taken to have its topics when the server closes: who did not read, or may be cut off already,
 * has what it answered a ping for. Whoever must not reconnect has nothing to come back to.
 */
export const positionsAfter: Record<CloseName, PositionsAsOf | 'over'> = {
  ...{ going_away: 'sent', shard_restart: 'sent', overloaded: 'sent', rate_limited: 'sent' },
  ...{ token_expired: 'sent', internal: 'sent' },
  ...{ slow_consumer: 'sure', heartbeat_timeout: 'sure', replaced: 'sure' },
  ...{ unauthorized: 'over', disconnected: 'over', protocol_error: 'over' },
  ...{ protocol_violation: 'over', unsupported_data: 'over', invalid_utf8: 'over', too_large: 'over' },
};

/** `asOf`: how far its client is taken to be. */
export function toldOf(
  { presence, watching, former, subscriptions, resumption }: LivePhase,
  attachment: Attachment,
  asOf: PositionsAsOf,
  ctx: Pick<SessionContext, 'topics'>,
): SessionTold {
  const told: SessionTold = {
    ...{ former, presence, watching: [...(watching ?? [])], subscriptions: subscriptions.told(asOf, ctx) },
    inbox: asOf === 'nothing' ? undefined : attachment.inboxPosition(asOf === 'sure'),
  };
  return typeof resumption === 'object' ? resumption.asItWas(told) : told;
}

/** How others see the user in topics, from this device. */
export function visiblePresence({ presence, isHidden }: LivePhase): DevicePresence {
  return isHidden ? { ...presence, status: 'invisible' } : presence;
}

/** To the topics that it is a member of: its user is in another way now. */
export function changeInTopics(
  phase: LivePhase,
  session: { id: SessionId },
  ctx: Pick<SessionContext, 'presence'>,
): void {
  const member = { user: phase.identity.userId, session: session.id, presence: visiblePresence(phase) };
  for (const { key, members } of phase.subscriptions.values()) {
    if (members !== undefined) ctx.presence.change(key, member);
  }
}

/** The server ends a subscription: `lane` is of the topic or of its members. */
export function loseSubscription(
  session: Session,
  { identity, subscriptions, resumption }: LivePhase,
  { lane, reason }: { lane: TopicName; reason: string },
  ctx: SessionContext,
): void {
  const topic = nameOfMembers(lane) ?? lane;
  const subscription = subscriptions.get(topic);
  if (subscription === undefined) return;
  // What is held back for the reply to Resume is not true any more: its client takes the session over once more.
  if (typeof resumption === 'object') return session.close('shard_restart');
  session.commands.answerEarly(subscription); // one that still waits for its reply
  if (subscriptions.get(topic) !== subscription) return;
  subscriptions.delete(topic);
  endSubscription(subscription, session, identity.userId, false, ctx);
  session.tellSoon();
  session.replies.subscriptionEnded(topic, reason);
}

/** Nothing more comes to it. `isLost`: its connection broke, and it may come back. */
export function leaveTopics(
  { subscriptions, watching, follower, identity }: LivePhase,
  session: Subscriber & { id: SessionId; encoding: Encoding },
  isLost: boolean,
  ctx: Pick<SessionContext, 'topics' | 'presence' | 'counters'>,
): void {
  const { userId, tenant } = identity;
  for (const subscription of subscriptions.values())
    endSubscription(subscription, session, userId, isLost, ctx);
  if (follower === undefined) return;
  for (const user of watching ?? [])
    ctx.topics.unsubscribe(presenceOfUser(userKey(tenant, user)), [session.encoding, ''], follower);
}
