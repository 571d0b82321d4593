/** `Subscribe`: permission and limits here, then the topic's home, which says where the log is and what was missed. */
import { filterCharsMax } from '#proto/limits.ts';
import {
  everyoneTopic,
  inboxOf,
  isBoard,
  membersOfTopic,
  type TopicName,
  topicKey,
  topicOfKey,
  userOfInbox,
} from '#proto/names.ts';
import type { MembersPage } from '../../presence/presence-board.ts';
import { canonicalFilter, compileFilter } from '../../routing/filter.ts';
import { type Answer, type Position, refused, type Since } from '../../wire/message.ts';
import { BoardLane } from '../board-lane.ts';
import { LaneReceipts } from '../lane-receipts.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { AnswerReceiver, SessionContext } from '../ports.ts';
import { Recovery } from '../recovery.ts';
import type { Subscription, TakenPosition, WaitingCommand } from '../session-state.ts';
import { endSubscription } from '../subscriptions.ts';
import { visiblePresence } from '../telling.ts';
import { subscribeInbox } from './subscribe-inbox.ts';

export const subscribe: Handler<'Subscribe'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const topic = envelope.data.topic as TopicName;
    if (topic === everyoneTopic || isBoard(topic))
      return refuse('invalid_topic', `data.topic "${topic}" belongs to the server`);
    if (topic === inboxOf(phase.identity.userId)) return subscribeInbox.handle(live, envelope, ctx);
    if (userOfInbox(topic) !== undefined || !phase.identity.permissions.allows('subscribe', topic))
      return refuse('permission_denied', `the token lacks subscribe:${topic}`);
    if (phase.subscriptions.has(topic))
      return refuse('already_subscribed', `data.topic "${topic}" is subscribed already`);
    if (phase.subscriptions.size >= ctx.limits.subscriptionsMax) {
      return refuse(
        'limit_exceeded',
        `a connection has at most ${ctx.limits.subscriptionsMax} subscriptions (MAX_SUBSCRIPTIONS)`,
      );
    }
    const isMember = envelope.data.presence === true;
    if (isMember && !phase.identity.permissions.allows('presence', topic))
      return refuse('permission_denied', `the token lacks presence:${topic}`);
    const filter = filterOf(envelope.data.filter as Record<string, unknown> | undefined);
    if (!filter.ok) return refuse('invalid_filter', `data.filter: ${filter.message}`);

    const subscription: Subscription = {
      key: topicKey(phase.identity.tenant, topic),
      lane: [session.encoding, filter.canonical],
      recovery: undefined,
      members: isMember ? new BoardLane(session) : undefined,
      taken: undefined,
    };
    phase.subscriptions.set(topic, subscription);
    ctx.counters.subscriptions(1);
    session.tellSoon();
    const command = { envelope, subscription };
    return isMember ? enter(live, command, ctx) : join(live, command, ctx);
  },

  finish(live, command, answer, ctx) {
    return command.subscription === undefined
      ? subscribeInbox.finish(live, command, answer, ctx)
      : finish(live, command, answer, ctx);
  },
};

/** First among the members, so that the reply tells of all who came before, and their news of all who come after. */
function enter({ session, phase }: LiveSession, command: WaitingCommand, ctx: SessionContext): Outcome {
  const { key, lane, members } = command.subscription as Subscription;
  const { userId } = phase.identity;
  const board = members as BoardLane;
  board.hold();
  const lanes = new LaneReceipts();
  lanes.add(ctx.topics.subscribe(membersOfTopic(key), [lane[0], ''], board, undefined, lanes));
  const member = { user: userId, session: session.id, presence: visiblePresence(phase) };
  const entering = { ...command, lanes };
  const requested = ctx.presence.enter(key, member, session);
  return settle(requested, entering, (answer) => finish({ session, phase }, entering, answer, ctx));
}

function join(live: LiveSession, command: WaitingCommand, ctx: SessionContext): Outcome {
  const { key, lane } = command.subscription as Subscription;
  const { since } = command.envelope.data as { since?: Position };
  const requested = ctx.topics.subscribe(key, lane, live.session, since, live.session);
  return settle(requested, command, (answer) => finish(live, command, answer, ctx));
}

function finish(live: LiveSession, command: WaitingCommand, answer: Answer, ctx: SessionContext): Outcome {
  const { subscription, members } = command;
  const entered = answer.ok ? (answer.result as MembersPage | undefined) : undefined;
  const refusal = entered === undefined ? undefined : command.lanes?.refusal;
  if (refusal !== undefined) return finishJoin(live, command, refused(refusal), ctx);
  const isEntered = subscription?.members !== undefined && members === undefined && entered !== undefined;
  if (isEntered && live.phase.subscriptions.get(topicOfKey(subscription.key)) === subscription)
    return join(live, { ...command, members: entered }, ctx);
  return finishJoin(live, command, answer, ctx);
}

function finishJoin(
  live: LiveSession,
  { envelope, subscription, members }: WaitingCommand,
  answer: Answer,
  ctx: SessionContext,
): Outcome {
  const { topic, since } = envelope.data as { topic: TopicName; since?: Position };
  const { subscriptions } = live.phase;
  // Ended by the server, and perhaps subscribed anew, while the answer was on its way: that one is not ours to touch.
  const isCurrent = subscriptions.get(topic) === subscription;
  if (!answer.ok) {
    if (isCurrent && subscription !== undefined) {
      subscriptions.delete(topic);
      endSubscription(subscription, live.session, live.phase.identity.userId, false, ctx);
    }
    return { do: 'refuse', refusal: answer.refusal };
  }
  if (!isCurrent || subscription === undefined)
    return refuse('not_subscribed', `data.topic "${topic}" was ended meanwhile`);
  const data = { topic, class: ctx.classOf(topic), ...membersFields(members) };
  const { joined } = answer;
  // A topic without a log has no position that could be in reach.
  const after = () => subscription.members?.release();
  if (joined === undefined)
    return { do: 'reply', data: since === undefined ? data : { ...data, recovered: false }, after };
  const { position, recovered } = joined;
  subscription.taken = takenFrom(position, recovered === true ? since : undefined);
  const reply = { ...data, ...position, ...(recovered === undefined ? {} : { recovered }) };
  if (since === undefined || recovered === false) return { do: 'reply', data: reply, after };
  const recovery = recoveryOf(live, topic, subscription, since, ctx);
  subscription.recovery = recovery;
  const begin = () => {
    after();
    recovery.begin(joined);
  };
  return { do: 'reply', data: reply, after: begin };
}

/** Where there are more than a list holds, it has the first of them, and changes are only counted. */
function membersFields(members: MembersPage | undefined): object {
  return members === undefined ? {} : { members: members.users, memberCount: members.memberCount };
}

function takenFrom({ offset, epoch }: Position, since: Position | undefined): TakenPosition {
  const has = since?.offset ?? offset;
  return { epoch, joined: offset, sure: has, pinged: has };
}

function recoveryOf(
  { session }: LiveSession,
  topic: TopicName,
  subscription: Subscription,
  since: Since,
  ctx: SessionContext,
): Recovery {
  const { key, lane } = subscription;
  const [, canonical] = lane;
  const filter =
    canonical === '' ? undefined : compileFilter(JSON.parse(canonical) as Record<string, unknown>);
  const source = {
    topic: key,
    filter: typeof filter === 'string' ? undefined : filter, // it was compiled before: never a complaint
    join: (from: Since, receiver: AnswerReceiver) => ctx.topics.subscribe(key, lane, session, from, receiver),
    onLive: (offset: number) => {
      subscription.recovery = undefined;
      if (subscription.taken !== undefined) subscription.taken.joined = offset;
    },
    onLost: () => session.onLost(topic, 'what was missed is not kept any more'),
  };
  return new Recovery(since, source, session, ctx);
}

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
