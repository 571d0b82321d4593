/** `Typing`: for those who listen to a topic, or for one user. Taken, never stored; whether it arrives nobody says. */
import { isReservedTopic, type TopicName, topicKey, type UserId, userKey } from '#proto/names.ts';
import { type Handler, refuse } from '../outcome.ts';

export const typing: Handler<'Typing'> = {
  handle({ phase }, { data }, ctx) {
    const { topic, to, active } = data;
    const { tenant, userId, permissions } = phase.identity;
    if ((topic === undefined) === (to === undefined))
      return refuse('bad_request', 'one of data.topic and data.to is needed');
    if (to !== undefined) {
      if (!permissions.allows('direct', to))
        return refuse('permission_denied', `the token lacks direct:${to}`);
      ctx.presence.typingTo(userKey(tenant, to as UserId), userId, active);
      return { do: 'reply', data: { to } };
    }
    const name = topic as TopicName;
    if (isReservedTopic(name) || !permissions.allows('publish', name))
      return refuse('permission_denied', `the token lacks publish:${name}`);
    ctx.presence.typingInTopic(topicKey(tenant, name), userId, active);
    return { do: 'reply', data: { topic } };
  },
};
