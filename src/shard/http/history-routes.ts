/** What is stored of a topic, for servers. The same pages as the WebSocket command `History`. */
import type { FastifyInstance } from 'fastify';
import { refusal } from '#proto/error-codes.ts';
import { historyPageDefault, historyPageMax } from '#proto/limits.ts';
import { type TopicName, topicKey, topicPattern } from '#proto/names.ts';
import { type Static, Type } from '#proto/schema.ts';
import type { Identity } from '../../auth/token-claims.ts';
import { mayRead } from '../../session/reading.ts';
import { shownMessage } from '../../session/stored-messages.ts';
import type { Page } from '../../store/history-store.ts';
import { accepted } from './awaited-answer.ts';
import { callerOf } from './http-caller.ts';
import type { HttpContext } from './http-context.ts';
import { ErrorBody, RefusedRequest } from './http-errors.ts';

export const TopicParams = Type.Object({
  topic: Type.String({ pattern: topicPattern, description: 'The topic; `/` in it is written %2F.' }),
});

const PageQuery = Type.Object({
  before: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'The youngest below it; alone: from the end.',
    }),
  ),
  after: Type.Optional(
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'The oldest beyond it.' }),
  ),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: historyPageMax, description: `Default ${historyPageDefault}.` }),
  ),
});

const PageBody = Type.Object({
  topic: Type.String({ description: 'The topic.' }),
  epoch: Type.Optional(Type.String({ description: 'With another epoch, offsets of before mean nothing.' })),
  firstOffset: Type.Integer({ description: 'Of the oldest entry that is kept.' }),
  lastOffset: Type.Integer({ description: 'Of the last entry; 0 when there is none.' }),
  hasMore: Type.Boolean({ description: 'There are more in the direction that was asked.' }),
  messages: Type.Array(Type.Unknown(), { description: 'Oldest first, as in the reply to `History`.' }),
});

export function historyRoutes(app: FastifyInstance, ctx: HttpContext): void {
  app.get(
    '/api/v1/topics/:topic/messages',
    {
      schema: {
        tags: ['messages'],
        description: 'A page of what is stored of a topic, oldest first.',
        security: [{ bearer: [] }],
        params: TopicParams,
        querystring: PageQuery,
        response: { 200: PageBody, 400: ErrorBody, 401: ErrorBody, 403: ErrorBody, 503: ErrorBody },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request, ctx);
      const topic = (request.params as Static<typeof TopicParams>).topic as TopicName;
      assertReadable(caller, topic);
      const { before, after, limit = historyPageDefault } = request.query as Static<typeof PageQuery>;
      const page = { topic: topicKey(caller.tenant, topic), view: 'messages' as const, before, after, limit };
      const answer = await accepted((receiver) => ctx.history.ask('page', page, receiver));
      const { messages, ...rest } = answer.result as Page;
      const shown = messages.map((message) => shownMessage(topic, message, 'json'));
      return reply.send({ topic, epoch: ctx.history.epoch, ...rest, messages: shown });
    },
  );
}

/** An administrator reads inboxes as well. */
export function assertReadable(caller: Identity, topic: TopicName): void {
  if (!caller.permissions.isAdmin && !mayRead(caller, topic))
    throw new RefusedRequest(refusal('permission_denied', `the token lacks history:${topic}`));
}
