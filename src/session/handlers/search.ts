/** `Search`: what may be read is decided here, what fits by the store. */
import { historyPageDefault } from '#proto/limits.ts';
import { inboxOf, type TopicName, type UserId } from '#proto/names.ts';
import type { QueryRequest } from '../../log/ports.ts';
import type { SearchPage } from '../../store/history-store.ts';
import { parseSearch } from '../../store/search-terms.ts';
import { type Handler, type LiveSession, type Outcome, refuse, settle } from '../outcome.ts';
import { mayRead } from '../reading.ts';
import { shownMessage } from '../stored-messages.ts';

export const search: Handler<'Search'> = {
  handle(live, envelope, ctx) {
    const { session, phase } = live;
    const { query, topic, with: peer, from, limit = historyPageDefault } = envelope.data;
    if (topic !== undefined && peer !== undefined)
      return refuse('bad_request', 'data: topic and with are two searches');
    if (topic !== undefined && !mayRead(phase.identity, topic as TopicName))
      return refuse('permission_denied', `the token lacks history:${topic}`);
    const terms = parseSearch(query);
    if (typeof terms === 'string') return refuse('bad_request', `data.query: ${terms}`);
    const request: QueryRequest<'search'> = {
      ...{ tenant: phase.identity.tenant, terms, limit },
      ...{ peer: peer as UserId | undefined, from: from as UserId | undefined },
      ...placesOf(live, topic, peer),
    };
    return settle(ctx.history.ask('search', request, session), { envelope }, (answer) =>
      answer.ok ? reply(live, answer.result as SearchPage) : { do: 'refuse', refusal: answer.refusal },
    );
  },

  finish: (live, _command, answer) =>
    answer.ok ? reply(live, answer.result as SearchPage) : { do: 'refuse', refusal: answer.refusal },
};

type Places = Pick<QueryRequest<'search'>, 'within' | 'without' | 'inbox'>;

/** The server's own names are looked at only where they are named: no pattern of a token reaches them by accident. */
function placesOf({ phase }: LiveSession, topic: string | undefined, peer: string | undefined): Places {
  const { permissions, userId } = phase.identity;
  if (topic !== undefined) return { within: [topic], without: [], inbox: undefined };
  if (peer !== undefined) return { within: [], without: [], inbox: inboxOf(userId) };
  const without = permissions.isAdmin ? ['inbox:*'] : ['inbox:*', 'admin:*', 'sys:*'];
  return { within: [...permissions.patterns('history')], without, inbox: inboxOf(userId) };
}

function reply({ session }: LiveSession, { messages, hasMore }: SearchPage): Outcome {
  const shown = messages.map(({ topic, message, rank }) => ({
    ...shownMessage(topic, message, session.encoding),
    topic,
    rank,
  }));
  return { do: 'reply', data: { hasMore, messages: shown } };
}
