/** `History`: permission here, then a page from the store. Of topics that are not stored it is empty. */
import { historyPageDefault } from '#proto/limits.ts';
import { type TopicName, topicKey } from '#proto/names.ts';
import type { HistoryPage } from '../../wire/message.ts';
import { type Handler, type Outcome, refuse, settle } from '../outcome.ts';
import type { Session } from '../session.ts';

export const history: Handler<'History'> = {
  handle({ session, phase }, envelope, ctx) {
    const { topic, before, after, limit = historyPageDefault } = envelope.data;
    const { permissions, userId, tenant } = phase.identity;
    if (topic !== `inbox:${userId}` && (topic.startsWith('inbox:') || !permissions.allows('history', topic)))
      return refuse('permission_denied', `the token lacks history:${topic}`);
    const request = { topic: topicKey(tenant, topic as TopicName), before, after, limit };
    return settle(ctx.history.page(request, session), { envelope }, (answer) =>
      answer.ok ? pageReply(session, topic, answer.page) : { do: 'refuse', refusal: answer.refusal },
    );
  },

  finish({ session }, { envelope }, answer) {
    const { topic } = envelope.data as { topic: string };
    return answer.ok ? pageReply(session, topic, answer.page) : { do: 'refuse', refusal: answer.refusal };
  },
};

function pageReply({ encoding }: Session, topic: string, page: HistoryPage | undefined): Outcome {
  const { epoch, lastOffset, hasMore, messages } = page as HistoryPage;
  return {
    do: 'reply',
    data: {
      ...{ topic, epoch, lastOffset, hasMore },
      messages: messages.map(({ messageId, offset, from, event, priority, payload, timestamp }) => ({
        id: messageId,
        offset,
        from,
        ...(event === undefined ? {} : { event }),
        ...(priority === undefined ? {} : { priority }),
        payload: payload.valueFor(encoding),
        timestamp,
      })),
    },
  };
}
