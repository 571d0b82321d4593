/** `Subscribe`: permission and limits here, then the topic's home. */
import { filterCharsMax } from '#proto/limits.ts';
import { everyoneTopic, type TopicName, topicKey } from '#proto/names.ts';
import { canonicalFilter, compileFilter } from '../../routing/filter.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { Subscription } from '../session-state.ts';

export const subscribe: Handler<'Subscribe'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const topic = envelope.data.topic as TopicName;
    if (topic === everyoneTopic)
      return refuse('invalid_topic', `data.topic "${topic}" belongs to the server; every session gets it`);
    if (!maySubscribe(live, topic)) return refuse('permission_denied', `the token lacks subscribe:${topic}`);
    if (phase.subscriptions.has(topic))
      return refuse('already_subscribed', `data.topic "${topic}" is subscribed already`);
    if (phase.subscriptions.size >= ctx.limits.subscriptionsMax) {
      return refuse(
        'limit_exceeded',
        `a connection has at most ${ctx.limits.subscriptionsMax} subscriptions (MAX_SUBSCRIPTIONS)`,
      );
    }
    const filter = filterOf(envelope.data.filter as Record<string, unknown> | undefined);
    if (!filter.ok) return refuse('invalid_filter', `data.filter: ${filter.message}`);

    const subscription: Subscription = {
      key: topicKey(phase.identity.tenant, topic),
      lane: [session.encoding, filter.canonical],
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
  // Ended by the server, and perhaps subscribed anew, while the answer was on its way: that one is not ours to touch.
  const isCurrent = subscriptions.get(topic) === subscription;
  if (!answer.ok) {
    if (isCurrent) {
      subscriptions.delete(topic);
      ctx.counters.subscriptions(-1);
    }
    return { do: 'refuse', refusal: answer.refusal };
  }
  if (!isCurrent) return refuse('not_subscribed', `data.topic "${topic}" was ended meanwhile`);
  // Nothing is stored yet, so that no position is ever in reach.
  const recovery = since === undefined ? {} : { recovered: false };
  return { do: 'reply', data: { topic, class: ctx.classOf(topic), ...recovery } };
};

function filterOf(
  conditions: Record<string, unknown> | undefined,
): { ok: true; canonical: string } | { ok: false; message: string } {
  if (conditions === undefined) return { ok: true, canonical: '' };
  const filter = compileFilter(conditions);
  if (typeof filter === 'string') return { ok: false, message: filter };
  const canonical = canonicalFilter(conditions);
  return canonical.length > filterCharsMax
    ? { ok: false, message: `a filter has at most ${filterCharsMax} characters as JSON` }
    : { ok: true, canonical };
}

/** One's own inbox is always readable; other names of the server take the permission spelled out. */
function maySubscribe({ phase }: LiveSession, topic: TopicName): boolean {
  const { permissions, userId } = phase.identity;
  if (topic.startsWith('inbox:')) return topic === `inbox:${userId}`;
  return permissions.allows('subscribe', topic);
}
