/**
 * `Edit` and `Delete`: the message is found in the store, then changed by the home of its topic, or of the inbox of the
 * other side. Own messages need no permission beyond the one to publish; others' need `edit` or `delete` for the topic.
 */
import { inboxOf, type MessageId, topicOfKey, type UserId, userKey, userOfInbox } from '#proto/names.ts';
import type { FoundMessage } from '../../store/history-store.ts';
import type { Amendment, Answer } from '../../wire/message.ts';
import { Payload } from '../../wire/payload.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { Requested, SessionContext } from '../ports.ts';
import type { WaitingCommand } from '../session-state.ts';

export const edit: Handler<'Edit'> = {
  handle: (live, envelope, ctx) => findFirst(live, { envelope }, envelope.data.messageId as MessageId, ctx),
  finish: (live, command, answer, ctx) => goOn(live, command, answer, ctx),
};

export const remove: Handler<'Delete'> = {
  handle: (live, envelope, ctx) => findFirst(live, { envelope }, envelope.data.messageId as MessageId, ctx),
  finish: (live, command, answer, ctx) => goOn(live, command, answer, ctx),
};

function findFirst(
  live: LiveSession,
  command: WaitingCommand,
  messageId: MessageId,
  ctx: SessionContext,
): Outcome {
  const { tenant } = live.phase.identity;
  const requested = ctx.history.ask('find', { tenant, messageId }, live.session);
  return settle(requested, command, (answer) => goOn(live, command, answer, ctx));
}

function goOn(live: LiveSession, command: WaitingCommand, answer: Answer, ctx: SessionContext): Outcome {
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  if (command.found !== undefined) return reply(command, answer);
  const { messageId } = command.envelope.data as { messageId: MessageId };
  const found = answer.result as FoundMessage[];
  const amendment = amendmentOf(live, command, found);
  if (amendment === undefined) return refuse('not_found', `there is no message ${messageId}`);
  if ('do' in amendment) return amendment;
  const next = { ...command, found };
  const requested = ask(live, found, amendment, ctx);
  return settle(requested, next, (done) => goOn(live, next, done, ctx));
}

/** Undefined where the message is none of this user's business. */
function amendmentOf(
  { phase }: LiveSession,
  { envelope }: WaitingCommand,
  found: FoundMessage[],
): Amendment | Outcome | undefined {
  const { permissions, userId } = phase.identity;
  const first = found[0];
  if (first === undefined) return undefined;
  const topic = topicOfKey(first.topic);
  const action = envelope.type === 'Edit' ? 'edit' : 'delete';
  const isDirect = userOfInbox(topic) !== undefined;
  // What two people say to each other is nobody's to change by a pattern like `edit:*`.
  const mayAmendAny = permissions.allows(action, topic) && (!isDirect || permissions.isAdmin);
  const isSeen = isDirect
    ? found.some((place) => topicOfKey(place.topic) === inboxOf(userId))
    : permissions.allows('history', topic) || permissions.allows('subscribe', topic);
  if (!isSeen && !mayAmendAny) return undefined;
  const isOwn = first.message.from === userId && (isDirect || permissions.allows('publish', topic));
  if (!isOwn && !mayAmendAny) return refuse('permission_denied', `the token lacks ${action}:${topic}`);
  const { messageId: target, payload } = envelope.data as { messageId: MessageId; payload?: unknown };
  const common = { target, from: userId, mayAmendAny };
  return envelope.type === 'Edit'
    ? { kind: 'edited', ...common, payload: Payload.ofValue(payload) }
    : { kind: 'deleted', ...common };
}

function ask(
  { session, phase }: LiveSession,
  [first, second]: FoundMessage[],
  amendment: Amendment,
  ctx: SessionContext,
): Requested {
  const { topic } = first as FoundMessage;
  const owner = userOfInbox(topicOfKey(topic));
  if (owner === undefined) return ctx.topics.amend(topic, amendment, session);
  const { tenant, userId } = phase.identity;
  const other = second === undefined ? owner : (userOfInbox(topicOfKey(second.topic)) as UserId);
  // Answered is the offset in the copy's inbox: that is to be the one of whoever asks.
  const [user, asker] = owner === userId ? [other, owner] : [owner, other];
  return ctx.users.amend(userKey(tenant, user), userKey(tenant, asker), amendment, session);
}

function reply({ envelope }: WaitingCommand, answer: Answer): Outcome {
  const { messageId } = envelope.data as { messageId: MessageId };
  const { position, atMs } = answer as Extract<Answer, { ok: true }>;
  const when = envelope.type === 'Edit' ? { editedAt: atMs } : { deletedAt: atMs };
  return { do: 'reply', data: { messageId, ...when, ...position } };
}
