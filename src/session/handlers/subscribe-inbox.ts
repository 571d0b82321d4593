/**
 * `Subscribe` to one's own inbox. Every session has its inbox from the start, so this changes nothing of what comes: it says
 * where the inbox ends, and with `since` it recovers what came behind it and before this session began.
 */
import { inboxOf, topicKey, userKey } from '#proto/names.ts';
import type { Page } from '../../store/history-store.ts';
import type { Answer, Since } from '../../wire/message.ts';
import { againOf, inboxSource } from '../attachment.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { SessionContext } from '../ports.ts';
import { Recovery } from '../recovery.ts';
import type { WaitingCommand } from '../session-state.ts';

export const subscribeInbox: Required<Handler<'Subscribe'>> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const { userId, tenant } = phase.identity;
    const { filter, since: given } = envelope.data;
    const topic = inboxOf(userId);
    if (filter !== undefined) return refuse('invalid_filter', 'data.filter: an inbox has none');
    if (ctx.classOf(topic) === 'volatile') {
      const data = { topic, class: 'volatile' };
      return { do: 'reply', data: given === undefined ? data : { ...data, recovered: false } };
    }
    if (given === undefined) {
      const end = { topic: topicKey(tenant, topic), view: 'log' as const, limit: 0 };
      return settle(ctx.history.ask('page', end, session), { envelope }, (answer) =>
        endOf(live, answer, ctx),
      );
    }
    if (phase.inboxRecovery !== undefined)
      return refuse('already_subscribed', 'the inbox is being recovered already');
    const since = { ...given, upTo: session.attachment?.inboxAtStart?.offset ?? Number.MAX_SAFE_INTEGER };
    const command = { envelope, since };
    phase.inboxRecovery = 'asked';
    session.attachment?.onCatchUp(given);
    const requested = ctx.users.attach(userKey(tenant, userId), againOf(session), since, session);
    return settle(requested, command, (answer) => recover(live, since, answer, ctx));
  },

  finish: (live, { since }: WaitingCommand, answer, ctx) =>
    since === undefined ? endOf(live, answer, ctx) : recover(live, since, answer, ctx),
};

function endOf({ phase }: LiveSession, answer: Answer, ctx: SessionContext): Outcome {
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  const topic = inboxOf(phase.identity.userId);
  // Without a page it was answered early, by an `Unsubscribe` that found it waiting.
  const { lastOffset } = (answer.result ?? {}) as Partial<Page>;
  const data = { topic, class: ctx.classOf(topic), offset: lastOffset, epoch: ctx.history.epoch };
  return { do: 'reply', data };
}

function recover(live: LiveSession, since: Since, answer: Answer, ctx: SessionContext): Outcome {
  const { session, phase } = live;
  const end = () => {
    phase.inboxRecovery = undefined;
    session.attachment?.onCaughtUp();
  };
  if (!answer.ok) {
    end();
    return { do: 'refuse', refusal: answer.refusal };
  }
  const { userId } = phase.identity;
  const topic = inboxOf(userId);
  const { joined } = answer;
  if (joined === undefined || joined.recovered === false) end();
  if (joined === undefined)
    return { do: 'reply', data: { topic, class: ctx.classOf(topic), recovered: false } };
  const { position, recovered } = joined;
  const data = { topic, class: ctx.classOf(topic), ...position, recovered };
  if (recovered === false) return { do: 'reply', data };
  const source = inboxSource(userKey(phase.identity.tenant, userId), session, ctx, {
    onLive: end,
    onLost: () => {
      end();
      session.onInboxHole();
    },
  });
  // What comes from now on is delivered by itself.
  const stretch = { ...since, upTo: Math.min(since.upTo as number, position.offset) };
  const recovery = new Recovery(stretch, source, session, ctx);
  phase.inboxRecovery = recovery;
  session.attachment?.onCatchUp(recovery);
  return { do: 'reply', data, after: () => recovery.begin(joined) };
}
