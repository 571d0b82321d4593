/**
 * `Resume`: the user's home hands over what a lost session had, and everything of it is asked for again by the commands
 * that made it: with the permissions of now, behind the positions that the client has.
 */
import { inboxOf, type SessionId, userKey } from '#proto/names.ts';
import type { SessionTold } from '../../presence/session-told.ts';
import type { Answer } from '../../wire/message.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { SessionContext } from '../ports.ts';
import { Resumption } from '../resumption.ts';
import type { WaitingCommand } from '../session-state.ts';

export const resume: Handler<'Resume'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    if (phase.former !== undefined || phase.resumption !== undefined)
      return refuse('bad_request', 'this connection has taken a session over already');
    // Its client may be back by now, and have asked again.
    if (session.isGone) return refuse('resume_failed', 'the connection that asked is gone');
    phase.resumption = 'asked';
    const { sessionId, resumeToken } = envelope.data;
    const { tenant, userId } = phase.identity;
    const former = { session: sessionId as SessionId, tokenHash: ctx.resumeTokens.hashOf(resumeToken) };
    const requested = ctx.users.resume(userKey(tenant, userId), session.id, former, session);
    return settle(requested, { envelope }, (answer) => finish(live, { envelope }, answer, ctx));
  },

  finish,
};

function finish(
  live: LiveSession,
  { envelope }: WaitingCommand,
  answer: Answer,
  ctx: SessionContext,
): Outcome {
  live.phase.resumption = undefined;
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  const told = answer.result as SessionTold;
  const { phase } = live;
  phase.former = told.former;
  // Who comes back is not idle.
  if (told.presence !== undefined) phase.presence = { ...told.presence, isIdle: false };
  const positions = (envelope.data as { positions?: Record<string, { offset: number; epoch: string }> })
    .positions;
  const inbox = inboxOf(phase.identity.userId);
  const resumption = new Resumption(live, envelope, { told, positions: positions ?? {}, inbox }, ctx);
  phase.resumption = resumption;
  resumption.begin();
  return { do: 'nothing' };
}
