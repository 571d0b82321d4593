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
  finish: (_live, command, answer) => finish(command, answer),
};

export const read: Handler<'Read'> = {
  handle: (live, envelope, ctx) => mark(live, { envelope }, 'read', ctx),
  finish: (_live, command, answer) => finish(command, answer),
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
  return settle(requested, command, (answer) => finish(command, answer));
}

function finish(command: WaitingCommand, answer: Answer): Outcome {
  return answer.ok ? { do: 'reply', data: markOf(command) } : { do: 'refuse', refusal: answer.refusal };
}

function markOf({ envelope }: WaitingCommand): { topic: TopicName; offset: number } {
  const { topic, offset } = envelope.data as { topic: TopicName; offset: number };
  return { topic, offset };
}
