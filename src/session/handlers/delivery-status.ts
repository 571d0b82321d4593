/** `DeliveryStatus`: who got a message and who has read it, from the marks of the topic, or of the receiver's inbox. */
import { inboxOf, type MessageId, topicOfKey, type UserId, userOfInbox } from '#proto/names.ts';
import type { FoundMessage, ReceiptTimes } from '../../store/history-store.ts';
import type { Answer } from '../../wire/message.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { SessionContext } from '../ports.ts';
import { mayRead } from '../reading.ts';
import type { WaitingCommand } from '../session-state.ts';

/** Users of one answer. */
const recipientsMax = 1000;

export const deliveryStatus: Handler<'DeliveryStatus'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const messageId = envelope.data.messageId as MessageId;
    const command = { envelope };
    const requested = ctx.history.ask('find', { tenant: phase.identity.tenant, messageId }, session);
    return settle(requested, command, (answer) => goOn(live, command, answer, ctx));
  },

  finish: (live, command, answer, ctx) => goOn(live, command, answer, ctx),
};

function goOn(live: LiveSession, command: WaitingCommand, answer: Answer, ctx: SessionContext): Outcome {
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  if (command.found !== undefined) return reply(live, command, answer.result as ReceiptTimes[]);
  const found = answer.result as FoundMessage[];
  const place = placeOf(live, found);
  if (place === undefined) {
    const { messageId } = command.envelope.data as { messageId: MessageId };
    return refuse('not_found', `there is no message ${messageId} of yours`);
  }
  const next = { ...command, found };
  const request = { topic: place.topic, offset: place.message.offset, limit: recipientsMax };
  const requested = ctx.history.ask('receipts', request, live.session);
  return settle(requested, next, (done) => goOn(live, next, done, ctx));
}

/** Where its receivers leave their marks: the topic, or the inbox of the other side. Undefined when it is not theirs to ask. */
function placeOf({ phase }: LiveSession, found: FoundMessage[]): FoundMessage | undefined {
  const { identity } = phase;
  const own = inboxOf(identity.userId);
  const isOfAsker = found.some(
    ({ topic, message }) => message.from === identity.userId || topicOfKey(topic) === own,
  );
  const first = found[0];
  if (first === undefined) return undefined;
  if (userOfInbox(topicOfKey(first.topic)) === undefined)
    return isOfAsker || mayRead(identity, topicOfKey(first.topic)) ? first : undefined;
  if (!isOfAsker) return undefined;
  return found.find(({ topic, message }) => userOfInbox(topicOfKey(topic)) !== message.from) ?? first;
}

function reply({ phase }: LiveSession, { envelope }: WaitingCommand, times: ReceiptTimes[]): Outcome {
  const { messageId } = envelope.data as { messageId: MessageId };
  const recipients = times
    .filter(({ user }) => user !== phase.identity.userId)
    .map(({ user, deliveredAtMs, readAtMs }: { user: UserId } & ReceiptTimes) => ({
      user,
      delivered: deliveredAtMs !== undefined,
      read: readAtMs !== undefined,
      at: readAtMs ?? deliveredAtMs,
    }));
  return { do: 'reply', data: { messageId, recipients } };
}
