/** `Ack` and `Read`: how far this user is, told to the home of the topic or inbox. */
import { inboxOf, type TopicName, topicKey, userKey } from '#proto/names.ts';
import type { ReceiptKind } from '#proto/record.ts';
import type { Answer } from '../../wire/message.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { SessionContext } from '../ports.ts';
import { mayRead } from '../reading.ts';
import type { WaitingCommand } from '../session-state.ts';

export const ack: Handler<'Ack'> = {
  handle: (live, envelope, ctx) => mark(live, { envelope }, 'delivered', ctx),
  finish,
};

export const read: Handler<'Read'> = {
  handle: (live, envelope, ctx) => mark(live, { envelope }, 'read', ctx),
  finish,
};

/** Also of what was only read by `History`, where it may be. */
function mark(
  { session, phase }: LiveSession,
  command: WaitingCommand,
  kind: ReceiptKind,
  ctx: SessionContext,
): Outcome {
  const { topic, offset } = markOf(command);
  const { tenant, userId } = phase.identity;
  if (!phase.subscriptions.has(topic) && !mayRead(phase.identity, topic))
    return refuse('not_subscribed', `data.topic "${topic}" is neither subscribed nor readable`);
  const requested =
    topic === inboxOf(userId)
      ? ctx.users.mark(userKey(tenant, userId), { kind, offset }, session)
      : ctx.topics.mark(topicKey(tenant, topic), userId, { kind, offset }, session);
  return settle(requested, command, (answer) => finish({ session, phase }, command, answer));
}

function finish(live: LiveSession, command: WaitingCommand, answer: Answer): Outcome {
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  remember(live, command);
  return { do: 'reply', data: markOf(command) };
}

/** What it says to have, it need not get again. */
function remember({ session, phase }: LiveSession, { envelope }: WaitingCommand): void {
  const { topic, offset } = markOf({ envelope });
  if (topic === inboxOf(phase.identity.userId)) return session.attachment?.onAcked(offset);
  const taken = phase.subscriptions.get(topic)?.taken;
  if (taken !== undefined) taken.sure = Math.max(taken.sure, offset);
}

function markOf({ envelope }: WaitingCommand): { topic: TopicName; offset: number } {
  const { topic, offset } = envelope.data as { topic: TopicName; offset: number };
  return { topic, offset };
}
