/**
 * Who is there, and who is writing, as the server tells it. Pure.
 * Members of a topic: `{count, users}`, where `users` has `{user, status}` by name, or is undefined while only their number
 * is known. Called by chat/presence.js and chat/typing.js.
 */

/** A list of the server: of a subscription, or asked for. */
export function listed(members, memberCount) {
  if (memberCount > members.length) return { count: memberCount, users: undefined };
  return { count: memberCount, users: byName(members.map(memberOf)) };
}

/** A `Presence` of that topic: somebody came, left or is in another way, or there are too many to say who. */
export function withNews(members, { user, status, event, memberCount }) {
  if (memberCount !== undefined) return { count: memberCount, users: undefined };
  const { count, users } = members;
  if (users === undefined) return members;
  const others = users.filter((member) => member.user !== user);
  const wasThere = others.length < users.length;
  if (event === 'leave') return { count: wasThere ? count - 1 : count, users: others };
  return { count: wasThere ? count : count + 1, users: byName([...others, { user, status }]) };
}

/** How a user is, without what is not shown. */
export function presenceOf({ status, lastSeen }) {
  return { status, lastSeen };
}

/** The names of who is writing, once somebody began or ended; the same list where that changes nothing. */
export function withTyping(typists, user, isActive) {
  if (typists.includes(user) === isActive) return typists;
  return isActive ? [...typists, user] : typists.filter((typist) => typist !== user);
}

function memberOf({ user, status }) {
  return { user, status };
}

function byName(users) {
  return users.toSorted((one, other) => (one.user < other.user ? -1 : 1));
}
