/** `Auth` on a live session: a fresh token for the same user. (The first one is handled by session.ts, before it is live.) */
import { refusal } from '#proto/error-codes.ts';
import type { Handler } from '../outcome.ts';
import { refuse } from '../outcome.ts';
import { stopWatching } from './presence-watch.ts';

export const auth: Handler<'Auth'> = {
  handle({ session, phase }, { data }, ctx) {
    const verdict = ctx.tokens.verify(data.token);
    if (!verdict.ok) return { do: 'refuse', refusal: verdict.refusal };
    const { userId, tenant } = phase.identity;
    if (verdict.identity.userId !== userId || verdict.identity.tenant !== tenant) {
      return refuse('permission_denied', 'data.token is of another user or tenant; open a connection for it');
    }
    const { permissions } = verdict.identity;
    for (const topic of phase.subscriptions.topics()) {
      const isAllowed = topic === `inbox:${userId}` || permissions.allows('subscribe', topic);
      if (!isAllowed) session.onLost(topic, `the new token lacks subscribe:${topic}`);
      else if (
        phase.subscriptions.get(topic)?.members !== undefined &&
        !permissions.allows('presence', topic)
      )
        session.onLost(topic, `the new token lacks presence:${topic}`);
    }
    const hidden = [...(phase.watching ?? [])].filter(
      (user) => user !== userId && !permissions.allows('presence', user),
    );
    if (hidden.length > 0) {
      stopWatching({ session, phase }, hidden, ctx);
      const reason = `the new token lacks presence:${hidden[0]}; ${hidden.length} users are not followed any more`;
      session.replies.error({ op: 'PresenceSubscribe' }, refusal('permission_denied', reason));
    }
    return { do: 'authenticate', identity: verdict.identity };
  },
};
