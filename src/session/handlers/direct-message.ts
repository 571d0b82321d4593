/** `DirectMessage`: permission here, then the recipient's home, which reaches all devices of both. */
import { type UserId, userKey } from '#proto/names.ts';
import { messageOf } from '../../wire/message.ts';
import { acceptedReply, type Handler, refuse, settle, withKey } from '../outcome.ts';

export const directMessage: Handler<'DirectMessage'> = {
  handle({ session, phase }, envelope, ctx) {
    const { permissions, userId, tenant } = phase.identity;
    const { to } = envelope.data;
    if (!permissions.allows('direct', to)) return refuse('permission_denied', `the token lacks direct:${to}`);
    const message = messageOf(userId, withKey(envelope));
    const recipient = userKey(tenant, to as UserId);
    const requested = ctx.users.direct(recipient, message, userKey(tenant, userId), session.id, session);
    return settle(requested, { envelope }, (answer) => acceptedReply(answer, {}));
  },

  finish: (_live, _command, answer) => acceptedReply(answer, {}),
};
