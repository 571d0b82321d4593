/** For administrators: how much is stored, and the erasure of a user's messages. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { refusal } from '#proto/error-codes.ts';
import { type UserId, userIdPattern } from '#proto/names.ts';
import { type Static, Type } from '#proto/schema.ts';
import type { Identity } from '../../auth/token-claims.ts';
import { accepted } from './awaited-answer.ts';
import { callerOf } from './http-caller.ts';
import type { HttpContext } from './http-context.ts';
import { ErrorBody, RefusedRequest } from './http-errors.ts';

const StatsQuery = Type.Object({
  days: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 366, description: 'How far back `perDay` goes; default 7.' }),
  ),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'Rows of each list; default 100.' }),
  ),
});
const Stats = Type.Object({
  topicCount: Type.Integer({ description: 'Topics of the tenant.' }),
  messageCount: Type.Integer({ description: 'Messages of the tenant.' }),
  storeBytes: Type.Integer({ description: 'What the database takes on its disk, all tenants together.' }),
  perDay: Type.Array(Type.Unknown(), {
    description: '`{day, topic, messageCount}`, the youngest day first.',
  }),
  topTopics: Type.Array(Type.Unknown(), { description: '`{topic, messageCount}`, the largest first.' }),
});
const UserParams = Type.Object({ user: Type.String({ pattern: userIdPattern, description: 'The user.' }) });
const Erased = Type.Object({ messages: Type.Integer({ description: 'So many have no content any more.' }) });

export function upkeepRoutes(app: FastifyInstance, ctx: HttpContext): void {
  const refusals = { 400: ErrorBody, 401: ErrorBody, 403: ErrorBody, 503: ErrorBody };
  const common = { tags: ['administration'], security: [{ bearer: [] }] };
  app.get(
    '/api/v1/stats',
    {
      schema: {
        ...{
          ...common,
          description: 'What is stored: messages per topic and day, the largest topics, the size.',
        },
        ...{ querystring: StatsQuery, response: { 200: Stats, ...refusals } },
      },
    },
    async (request, reply) => {
      const { tenant } = administratorOf(request, ctx);
      const { days = 7, limit = 100 } = request.query as Static<typeof StatsQuery>;
      const asked = { tenant, nowMs: ctx.clock.wallMs(), days, limit };
      const { result } = await accepted((receiver) => ctx.history.ask('stats', asked, receiver));
      return reply.send(result);
    },
  );

  app.delete(
    '/api/v1/users/:user/messages',
    {
      schema: {
        ...{
          ...common,
          description: 'Takes the content out of everything that a user wrote. The places stay.',
        },
        ...{ params: UserParams, response: { 200: Erased, ...refusals } },
      },
    },
    async (request, reply) => {
      const caller = administratorOf(request, ctx);
      const user = (request.params as Static<typeof UserParams>).user as UserId;
      const asked = { tenant: caller.tenant, user, atMs: ctx.clock.wallMs() };
      // Also when the answer was lost: it may be erased.
      const answer = await accepted((receiver) => ctx.history.ask('erase', asked, receiver)).finally(() =>
        ctx.forgetLogs(),
      );
      const { messageCount } = answer.result as { messageCount: number };
      audit(ctx, request, caller, 'erased the messages of a user', { user, messageCount });
      return reply.send({ messages: messageCount });
    },
  );
}

/** Throws RefusedRequest when the caller is none. */
export function administratorOf(request: FastifyRequest, ctx: HttpContext): Identity {
  const caller = callerOf(request, ctx);
  if (!caller.permissions.isAdmin)
    throw new RefusedRequest(refusal('permission_denied', 'the token lacks admin:*'));
  return caller;
}

/** Who did what: in the log, for ever, whatever its level lets through of the rest. */
export function audit(
  { log }: HttpContext,
  request: FastifyRequest,
  { tenant, userId }: Identity,
  what: string,
  details: object,
): void {
  log.warn({ audit: true, correlation: request.id, tenant, by: userId, ...details }, what);
}
