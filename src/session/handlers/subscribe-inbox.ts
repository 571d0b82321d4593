/**
 * `Subscribe` to one's own inbox. Every session has its inbox from the start, so this only recovers: what came behind `since`
 * and before this session began. What came later was, or is, delivered by itself.
 */
import { inboxOf, userKey } from '#proto/names.ts';
import type { Answer, Position, Since } from '../../wire/message.ts';
import { inboxSource } from '../attachment.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { SessionContext } from '../ports.ts';
import { Recovery } from '../recovery.ts';
import type { WaitingCommand } from '../session-state.ts';

export const subscribeInbox: Required<Handler<'Subscribe'>> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const { userId, tenant } = phase.identity;
    if (envelope.data.filter !== undefined) return refuse('invalid_filter', 'data.filter: an inbox has none');
    if (phase.inboxRecovery !== undefined)
      return refuse('already_subscribed', 'the inbox is being recovered already');
    const since = sinceOf(live, envelope.data.since);
    const command = { envelope, since };
    phase.inboxRecovery = 'asked';
    const requested = ctx.users.attach(userKey(tenant, userId), session, since, session);
    return settle(requested, command, (answer) => subscribeInbox.finish(live, command, answer, ctx));
  },

  finish(live, { since }: WaitingCommand, answer: Answer, ctx: SessionContext): Outcome {
    const { session, phase } = live;
    phase.inboxRecovery = undefined;
    if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
    const { userId, tenant } = phase.identity;
    const topic = inboxOf(userId);
    const data = { topic, class: ctx.classOf(topic) };
    const { joined } = answer;
    if (joined === undefined)
      return { do: 'reply', data: since === undefined ? data : { ...data, recovered: false } };
    const { position, recovered } = joined;
    const reply = { ...data, ...position, ...(recovered === undefined ? {} : { recovered }) };
    if (since === undefined || recovered === false) return { do: 'reply', data: reply };
    const end = () => {
      phase.inboxRecovery = undefined;
    };
    const source = inboxSource(userKey(tenant, userId), session, ctx, {
      onLive: end,
      onLost: () => {
        end();
        session.onInboxHole();
      },
    });
    const recovery = new Recovery(since, source, session, ctx);
    phase.inboxRecovery = recovery;
    return { do: 'reply', data: reply, after: () => recovery.begin(joined) };
  },
};

/** Up to where this session began; up to now, where that was not known. */
function sinceOf({ session }: LiveSession, since: Position | undefined): Since | undefined {
  return since === undefined ? undefined : { ...since, upTo: session.inboxAtStart?.offset };
}
