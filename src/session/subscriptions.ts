/**
 * What one session subscribed, by topic, and how far its client has come with each.
 * Thread: shard. Owned by the live phase of session.ts, written by the handlers of `Subscribe` and `Unsubscribe`.
 * Empty it has no map: most connections of a large server are silent, and an empty map is 200 bytes.
 */
import { membersOfTopic, type SessionId, type TopicName, topicOfKey, type UserId } from '#proto/names.ts';
import type { ToldSubscription } from '../presence/session-told.ts';
import type { Position } from '../wire/message.ts';
import type { SessionContext, Subscriber } from './ports.ts';
import type { Subscription } from './session-state.ts';

export class Subscriptions {
  #byTopic: Map<TopicName, Subscription> | undefined;

  get size(): number {
    return this.#byTopic?.size ?? 0;
  }

  get(topic: TopicName): Subscription | undefined {
    return this.#byTopic?.get(topic);
  }

  has(topic: TopicName): boolean {
    return this.#byTopic?.has(topic) === true;
  }

  set(topic: TopicName, subscription: Subscription): void {
    this.#byTopic ??= new Map();
    this.#byTopic.set(topic, subscription);
  }

  delete(topic: TopicName): void {
    this.#byTopic?.delete(topic);
  }

  /** What went before this ping will be what the client has when it answers. */
  onPing(ctx: Pick<SessionContext, 'topics'>): void {
    for (const subscription of this.values()) {
      if (subscription.taken !== undefined) subscription.taken.pinged = sentUpTo(subscription, ctx);
    }
  }

  onPong(): void {
    for (const { taken } of this.values())
      if (taken !== undefined) taken.sure = Math.max(taken.sure, taken.pinged);
  }

  /** What it is resumed with; positions only `asOf` a moment: what the client surely has, or also what was sent to it. */
  told(asOf: PositionsAsOf, ctx: Pick<SessionContext, 'topics'>): ToldSubscription[] {
    return this.values().map((subscription) => toldSubscription(subscription, asOf, ctx));
  }

  topics(): TopicName[] {
    return [...(this.#byTopic?.keys() ?? [])];
  }

  values(): Subscription[] {
    return [...(this.#byTopic?.values() ?? [])];
  }
}

/** `nothing`: positions change with every message, and are not told while the connection lives. */
export type PositionsAsOf = 'sent' | 'sure' | 'nothing';

export function toldSubscription(
  subscription: Subscription,
  asOf: PositionsAsOf,
  ctx: Pick<SessionContext, 'topics'>,
): ToldSubscription {
  const { key, lane, members } = subscription;
  const position = positionOf(subscription, asOf, ctx);
  return { topic: topicOfKey(key), filter: lane[1], isMember: members !== undefined, position };
}

/** Ends what the homes know of it; its state is the caller's. `isLost`: the connection broke. */
export function endSubscription(
  { key, lane, members, recovery }: Subscription,
  session: Subscriber & { id: SessionId },
  user: UserId,
  isLost: boolean,
  { topics, presence, counters }: Pick<SessionContext, 'topics' | 'presence' | 'counters'>,
): void {
  counters.subscriptions(-1);
  recovery?.stop();
  topics.unsubscribe(key, lane, session);
  if (members === undefined) return;
  topics.unsubscribe(membersOfTopic(key), [lane[0], ''], members);
  presence.leave(key, user, session.id, isLost);
}

function positionOf(
  subscription: Subscription,
  asOf: PositionsAsOf,
  ctx: Pick<SessionContext, 'topics'>,
): Position | undefined {
  const { taken } = subscription;
  if (taken === undefined || asOf === 'nothing') return undefined;
  return { offset: asOf === 'sure' ? taken.sure : sentUpTo(subscription, ctx), epoch: taken.epoch };
}

function sentUpTo(
  { key, lane, taken, recovery }: Subscription,
  { topics }: Pick<SessionContext, 'topics'>,
): number {
  if (recovery !== undefined) return recovery.offset;
  return Math.max(taken?.joined ?? 0, topics.deliveredUpTo(key, lane));
}
