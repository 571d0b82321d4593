/** `PresenceSubscribe`, `PresenceUnsubscribe`, `PresenceQuery`: how others are, now and from now on. */
import { presenceMembersMax } from '#proto/limits.ts';
import { presenceOfUser, type TopicName, topicKey, type UserId, userKey } from '#proto/names.ts';
import type { MembersPage } from '../../presence/presence-board.ts';
import type { Answer } from '../../wire/message.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import { nobody, type SessionContext } from '../ports.ts';

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
    for (const user of added) {
      watching.add(user);
      const board = presenceOfUser(userKey(phase.identity.tenant, user));
      ctx.topics.subscribe(board, [session.encoding, ''], session, undefined, nobody);
    }
    session.tellSoon();
    // Behind the subscriptions on the same way: what changes from this answer on is told.
    return settle(askUsers(live, users, ctx), { envelope }, listed);
  },

  finish: (_live, _command, answer) => listed(answer),
};

export const presenceUnsubscribe: Handler<'PresenceUnsubscribe'> = {
  handle({ session, phase }, { data }, ctx) {
    for (const user of unique(data.users)) {
      if (phase.watching?.delete(user) !== true) continue;
      const board = presenceOfUser(userKey(phase.identity.tenant, user));
      ctx.topics.unsubscribe(board, [session.encoding, ''], session);
    }
    session.tellSoon();
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
