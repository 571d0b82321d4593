/** For administrators: which sessions there are, how one is, and their end. All shards are asked; endings are audited. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { refusal } from '#proto/error-codes.ts';
import { type SessionId, type UserId, userIdPattern, userKey } from '#proto/names.ts';
import { type Static, Type } from '#proto/schema.ts';
import type { SessionDump, SessionFilter, SessionLine } from '../session-inspection.ts';
import { accepted } from './awaited-answer.ts';
import type { HttpContext } from './http-context.ts';
import { ErrorBody, RefusedRequest } from './http-errors.ts';
import { administratorOf, audit } from './upkeep-routes.ts';

const pageMax = 1_000;
const pageDefault = 100;

const ListQuery = Type.Object({
  user: Type.Optional(Type.String({ pattern: userIdPattern, description: 'Only of this user.' })),
  after: Type.Optional(Type.String({ maxLength: 64, description: 'Behind this session.' })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: pageMax, description: `Default ${pageDefault}.` }),
  ),
});
const List = Type.Object({
  sessions: Type.Array(Type.Unknown(), {
    description:
      '`{sessionId, userId, shard, encoding, subscriptions, idleMs, outboxBytes}`, by `sessionId`.',
  }),
  hasMore: Type.Boolean({ description: 'There are more behind the last one.' }),
});
const SessionParams = Type.Object({ session: Type.String({ maxLength: 64, description: 'The session.' }) });
const UserParams = Type.Object({ user: Type.String({ pattern: userIdPattern, description: 'The user.' }) });
const Dump = Type.Object(
  {},
  {
    additionalProperties: true,
    description: 'As in the list, with `topics`, `watching`, `presence`, `mailbox` and `tokenExpiresAt`.',
  },
);
const Closed = Type.Object({ closed: Type.Integer({ description: 'So many were closed, with 4501.' }) });

const refusals = { 400: ErrorBody, 401: ErrorBody, 403: ErrorBody, 404: ErrorBody };
const schema = { tags: ['administration'], security: [{ bearer: [] }] };

export function sessionRoutes(app: FastifyInstance, ctx: HttpContext): void {
  lookingRoutes(app, ctx);
  closingRoutes(app, ctx);
}

function lookingRoutes(app: FastifyInstance, ctx: HttpContext): void {
  app.get(
    '/api/v1/sessions',
    {
      schema: {
        ...{ ...schema, description: 'Sessions that are connected now, of all shards.' },
        ...{ querystring: ListQuery, response: { 200: List, ...refusals } },
      },
    },
    async (request, reply) => {
      const { tenant } = administratorOf(request, ctx);
      const { user, after, limit = pageDefault } = request.query as Static<typeof ListQuery>;
      const filter = { tenant, user: user as UserId, after: after as SessionId, limit: limit + 1 };
      const { result } = await accepted((receiver) => ctx.inspection.ask('list', filter, receiver));
      const sessions = (result as SessionLine[]).toSorted(bySession);
      return reply.send({ sessions: sessions.slice(0, limit), hasMore: sessions.length > limit });
    },
  );

  app.get(
    '/api/v1/sessions/:session',
    {
      schema: {
        ...{ ...schema, description: 'One session: its subscriptions, queues and presence.' },
        ...{ params: SessionParams, response: { 200: Dump, ...refusals } },
      },
    },
    async (request, reply) => {
      const { tenant } = administratorOf(request, ctx);
      const { session } = request.params as Static<typeof SessionParams>;
      const filter = { tenant, session: session as SessionId, limit: 1 };
      const { result } = await accepted((receiver) => ctx.inspection.ask('show', filter, receiver));
      const [dump] = result as SessionDump[];
      if (dump === undefined)
        throw new RefusedRequest(refusal('not_found', `there is no session ${session}`));
      return reply.send(dump);
    },
  );
}

function closingRoutes(app: FastifyInstance, ctx: HttpContext): void {
  app.delete(
    '/api/v1/sessions/:session',
    {
      schema: {
        ...{ ...schema, description: 'Closes one session with 4501; it cannot be resumed.' },
        ...{ params: SessionParams, response: { 200: Closed, ...refusals } },
      },
    },
    async (request, reply) => {
      const { tenant } = administratorOf(request, ctx);
      const { session } = request.params as Static<typeof SessionParams>;
      const filter = { tenant, session: session as SessionId, limit: 1 };
      const closed = await close(request, filter, ctx);
      if (closed === 0) throw new RefusedRequest(refusal('not_found', `there is no session ${session}`));
      return reply.send({ closed });
    },
  );

  app.delete(
    '/api/v1/users/:user/sessions',
    {
      schema: {
        ...{ ...schema, description: 'Closes all sessions of a user with 4501; they cannot be resumed.' },
        ...{ params: UserParams, response: { 200: Closed, ...refusals } },
      },
    },
    async (request, reply) => {
      const { tenant } = administratorOf(request, ctx);
      const { user } = request.params as Static<typeof UserParams>;
      const filter = { tenant, user: user as UserId, limit: Number.MAX_SAFE_INTEGER };
      return reply.send({ closed: await close(request, filter, ctx) });
    },
  );
}

/** Audited, whatever it meets. */
async function close(request: FastifyRequest, filter: SessionFilter, ctx: HttpContext): Promise<number> {
  const { result } = await accepted((receiver) => ctx.inspection.ask('close', filter, receiver));
  const sessions = result as SessionId[];
  const { tenant, session, user } = filter;
  // Lost ones too: where they wait, and what is kept of them.
  if (user !== undefined) ctx.users.forget(userKey(tenant, user));
  if (ctx.isStoreUp())
    await accepted((receiver) => ctx.history.ask('dropSessions', { tenant, user, session }, receiver));
  audit(ctx, request, administratorOf(request, ctx), 'closed sessions', { session, user, sessions });
  return sessions.length;
}

function bySession(one: SessionLine, other: SessionLine): number {
  return one.sessionId < other.sessionId ? -1 : 1;
}
