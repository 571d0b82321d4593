/** `History`: permission here, then a page from the store. Of topics that are not stored it is empty. */
import { historyPageDefault } from '#proto/limits.ts';
import { inboxOf, type TopicName, topicKey, type UserId } from '#proto/names.ts';
import type { Page } from '../../store/history-store.ts';
import type { Answer } from '../../wire/message.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import type { SessionContext } from '../ports.ts';
import { mayRead } from '../reading.ts';
import type { WaitingCommand } from '../session-state.ts';
import { shownMessage } from '../stored-messages.ts';

interface Asked {
  topic?: TopicName;
  with?: UserId;
}

export const history: Handler<'History'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const { before, after, limit = historyPageDefault } = envelope.data;
    const asked = envelope.data as Asked;
    if ((asked.topic === undefined) === (asked.with === undefined))
      return refuse('bad_request', 'data: one of topic and with is needed');
    const topic = topicOf(live, asked);
    if (!mayRead(phase.identity, topic))
      return refuse('permission_denied', `the token lacks history:${topic}`);
    const request = {
      ...{ topic: topicKey(phase.identity.tenant, topic), view: 'messages' as const },
      ...{ peer: asked.with, before, after, limit },
    };
    const command = { envelope };
    return settle(ctx.history.ask('page', request, session), command, (answer) =>
      finish(live, command, answer, ctx),
    );
  },

  finish: (live, command, answer, ctx) => finish(live, command, answer, ctx),
};

function topicOf({ phase }: LiveSession, { topic }: Asked): TopicName {
  return topic ?? inboxOf(phase.identity.userId);
}

function finish(
  live: LiveSession,
  { envelope }: WaitingCommand,
  answer: Answer,
  { history: { epoch } }: SessionContext,
): Outcome {
  if (!answer.ok) return { do: 'refuse', refusal: answer.refusal };
  const asked = envelope.data as Asked;
  const topic = topicOf(live, asked);
  const { firstOffset, lastOffset, hasMore, messages } = answer.result as Page;
  return {
    do: 'reply',
    data: {
      ...{ topic, ...(asked.with === undefined ? {} : { with: asked.with }) },
      ...{ epoch, firstOffset, lastOffset, hasMore },
      messages: messages.map((message) => shownMessage(topic, message, live.session.encoding)),
    },
  };
}
