/** `Subscribe`: permission and limits here, then the topic's home. */
import { refusal } from '#proto/error-codes.ts';
import { type TopicName, topicKey } from '#proto/names.ts';
import { canonicalFilter, compileFilter } from '../../routing/filter.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { Subscription } from '../session-state.ts';

export const subscribe: Handler<'Subscribe'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const topic = envelope.data.topic as TopicName;
    if (!maySubscribe(live, topic)) return refuse('permission_denied', `the token lacks subscribe:${topic}`);
    if (phase.subscriptions.has(topic))
      return refuse('already_subscribed', `data.topic "${topic}" is subscribed already`);
    if (phase.subscriptions.size >= ctx.limits.subscriptionsMax) {
      return refuse(
        'limit_exceeded',
        `a connection has at most ${ctx.limits.subscriptionsMax} subscriptions (MAX_SUBSCRIPTIONS)`,
      );
    }
    const conditions = envelope.data.filter as Record<string, unknown> | undefined;
    const filter = conditions === undefined ? undefined : compileFilter(conditions);
    if (typeof filter === 'string')
      return { do: 'refuse', refusal: refusal('invalid_filter', `data.filter: ${filter}`) };

    const subscription: Subscription = {
      key: topicKey(phase.identity.tenant, topic),
      lane: [session.encoding, canonicalFilter(conditions)],
      isActive: false,
    };
    phase.subscriptions.set(topic, subscription);
    ctx.counters.subscriptions(1);
    const command = { envelope, subscription };
    const requested = ctx.topics.subscribe(subscription.key, subscription.lane, session);
    return settle(requested, command, (answer) => finish(live, command, answer, ctx));
  },
  finish: (live, command, answer, ctx) => finish(live, command, answer, ctx),
};

const finish: NonNullable<Handler<'Subscribe'>['finish']> = (
  live,
  { envelope, subscription },
  answer,
  ctx,
): Outcome => {
  const { topic, since } = envelope.data as { topic: TopicName; since?: unknown };
  const { subscriptions } = live.phase;
  // Unsubscribed, and perhaps subscribed anew, while the answer was on its way: that one is not ours to touch.
  const isCurrent = subscriptions.get(topic) === subscription;
  if (!answer.ok) {
    if (isCurrent) {
      subscriptions.delete(topic);
      ctx.counters.subscriptions(-1);
    }
    return { do: 'refuse', refusal: answer.refusal };
  }
  if (isCurrent && subscription !== undefined) subscription.isActive = true;
  // Nothing is stored yet, so that no position is ever in reach.
  const recovery = since === undefined ? {} : { recovered: false };
  return { do: 'reply', data: { topic, class: 'volatile', ...recovery } };
};

/** One's own inbox is always readable; other names of the server take the permission spelled out. */
function maySubscribe({ phase }: LiveSession, topic: TopicName): boolean {
  const { permissions, userId } = phase.identity;
  if (topic.startsWith('inbox:')) return topic === `inbox:${userId}`;
  return permissions.allows('subscribe', topic);
}
