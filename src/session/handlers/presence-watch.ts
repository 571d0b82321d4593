/** `PresenceSubscribe`, `PresenceUnsubscribe`, `PresenceQuery`: how others are, now and from now on. */
import { presenceMembersMax } from '#proto/limits.ts';
import { presenceOfUser, type TopicName, topicKey, type UserId, userKey } from '#proto/names.ts';
import type { MembersPage } from '../../presence/presence-board.ts';
import type { Answer } from '../../wire/message.ts';
import { BoardLane } from '../board-lane.ts';
import { LaneReceipts } from '../lane-receipts.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { SessionContext } from '../ports.ts';
import type { WaitingCommand } from '../session-state.ts';

export const presenceSubscribe: Handler<'PresenceSubscribe'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const users = unique(envelope.data.users);
    const hidden = firstHidden(live, users);
    if (hidden !== undefined) return refuse('permission_denied', `the token lacks presence:${hidden}`);
    const watching = phase.watching ?? new Set();
    const added = users.filter((user) => !watching.has(user));
    const { watchedUsersMax } = ctx.limits;
    if (watching.size + added.length > watchedUsersMax) {
      const reason = `a connection follows the presence of at most ${watchedUsersMax} users (MAX_WATCHED_USERS)`;
      return refuse('limit_exceeded', reason);
    }
    phase.watching = watching;
    phase.follower ??= new BoardLane(session);
    phase.follower.hold();
    const { follower } = phase;
    const lanes = new LaneReceipts();
    for (const user of added) {
      watching.add(user);
      const board = presenceOfUser(userKey(phase.identity.tenant, user));
      lanes.add(ctx.topics.subscribe(board, [session.encoding, ''], follower, undefined, lanes));
    }
    session.tellSoon();
    // Behind the subscriptions on the same way: what changes from this answer on is told.
    const command = { envelope, lanes, added };
    return settle(askUsers(live, users, ctx), command, (answer) =>
      finishSubscribe(live, command, answer, ctx),
    );
  },

  finish: finishSubscribe,
};

/** All of them, or none: what could not be followed is not, and may be asked for again. */
function finishSubscribe(
  live: LiveSession,
  { lanes, added = [] }: WaitingCommand,
  answer: Answer,
  ctx: SessionContext,
): Outcome {
  const refusal = answer.ok ? lanes?.refusal : answer.refusal;
  const after = () => live.phase.follower?.release();
  if (refusal === undefined) return { ...listed(answer), after } as Outcome;
  stopWatching(live, added, ctx);
  after();
  return { do: 'refuse', refusal };
}

/** Those that it does not follow are no matter. */
export function stopWatching(
  { session, phase }: LiveSession,
  users: readonly UserId[],
  ctx: SessionContext,
): void {
  for (const user of users) {
    if (phase.watching?.delete(user) !== true || phase.follower === undefined) continue;
    const board = presenceOfUser(userKey(phase.identity.tenant, user));
    ctx.topics.unsubscribe(board, [session.encoding, ''], phase.follower);
  }
  session.tellSoon();
}

export const presenceUnsubscribe: Handler<'PresenceUnsubscribe'> = {
  handle(live, { data }, ctx) {
    stopWatching(live, unique(data.users), ctx);
    return { do: 'reply', data: { users: [] } };
  },
};

export const presenceQuery: Handler<'PresenceQuery'> = {
  handle(live, envelope, ctx) {
    const { topic, users, after, limit = presenceMembersMax } = envelope.data;
    if ((topic === undefined) === (users === undefined))
      return refuse('bad_request', 'one of data.users and data.topic is needed');
    if (users !== undefined) {
      const hidden = firstHidden(live, unique(users));
      if (hidden !== undefined) return refuse('permission_denied', `the token lacks presence:${hidden}`);
      return settle(askUsers(live, unique(users), ctx), { envelope }, listed);
    }
    const { tenant, permissions } = live.phase.identity;
    if (!permissions.allows('presence', topic as TopicName))
      return refuse('permission_denied', `the token lacks presence:${topic}`);
    const key = topicKey(tenant, topic as TopicName);
    const requested = ctx.presence.members(key, after as UserId | undefined, limit, live.session);
    return settle(requested, { envelope }, (answer) => membersListed(topic as TopicName, answer));
  },

  finish(_live, { envelope }, answer) {
    const { topic } = envelope.data as { topic?: TopicName };
    return topic === undefined ? listed(answer) : membersListed(topic, answer);
  },
};

function unique(users: readonly string[]): UserId[] {
  return [...new Set(users as UserId[])];
}

/** Everybody may see themselves. */
function firstHidden({ phase }: LiveSession, users: readonly UserId[]): UserId | undefined {
  const { userId, permissions } = phase.identity;
  return users.find((user) => user !== userId && !permissions.allows('presence', user));
}

function askUsers({ session, phase }: LiveSession, users: readonly UserId[], ctx: SessionContext) {
  const keys = users.map((user) => userKey(phase.identity.tenant, user));
  return ctx.presence.users(keys, session);
}

function listed(answer: Answer): Outcome {
  return answer.ok
    ? { do: 'reply', data: { users: answer.result as object[] } }
    : { do: 'refuse', refusal: answer.refusal };
}

function membersListed(topic: TopicName, answer: Answer): Outcome {
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  const { users, memberCount, hasMore } = answer.result as MembersPage;
  return { do: 'reply', data: { topic, users, memberCount, hasMore } };
}
