/** How a user is and who is in a topic, for servers. As the WebSocket command `PresenceQuery`. */
import type { FastifyInstance } from 'fastify';
import { refusal } from '#proto/error-codes.ts';
import { presenceMembersMax } from '#proto/limits.ts';
import { type TopicName, topicKey, type UserId, userIdPattern, userKey } from '#proto/names.ts';
import { type Static, Type } from '#proto/schema.ts';
import type { UserPresence } from '../../presence/device-presence.ts';
import { accepted } from './awaited-answer.ts';
import { TopicParams } from './history-routes.ts';
import { callerOf } from './http-caller.ts';
import type { HttpContext } from './http-context.ts';
import { ErrorBody, RefusedRequest } from './http-errors.ts';

const UserParams = Type.Object({ user: Type.String({ pattern: userIdPattern, description: 'The user.' }) });
const Presence = Type.Object(
  {},
  { additionalProperties: true, description: '`{user, status, lastSeen?, devices, meta?}`.' },
);
const MembersQuery = Type.Object({
  after: Type.Optional(Type.String({ pattern: userIdPattern, description: 'Members behind this one.' })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: presenceMembersMax, description: `Default ${presenceMembersMax}.` }),
  ),
});
const Members = Type.Object({
  users: Type.Array(Type.Unknown(), { description: 'Presences, by name.' }),
  memberCount: Type.Integer({ description: 'All members.' }),
  hasMore: Type.Boolean({ description: 'There are more behind the last one.' }),
});

export function presenceRoutes(app: FastifyInstance, ctx: HttpContext): void {
  const refusals = { 400: ErrorBody, 401: ErrorBody, 403: ErrorBody, 503: ErrorBody };
  const schema = { tags: ['presence'], security: [{ bearer: [] }] };
  app.get(
    '/api/v1/presence/:user',
    {
      schema: {
        ...{ ...schema, description: 'How a user is now, over all devices.' },
        ...{ params: UserParams, response: { 200: Presence, ...refusals } },
      },
    },
    async (request, reply) => {
      const { tenant, userId, permissions } = callerOf(request, ctx);
      const user = (request.params as Static<typeof UserParams>).user as UserId;
      if (user !== userId && !permissions.allows('presence', user))
        throw new RefusedRequest(refusal('permission_denied', `the token lacks presence:${user}`));
      const { result } = await accepted((receiver) => ctx.presence.users([userKey(tenant, user)], receiver));
      return reply.send((result as UserPresence[])[0]);
    },
  );

  app.get(
    '/api/v1/topics/:topic/members',
    {
      schema: {
        ...{ ...schema, description: 'Who is in a topic: those who subscribed it with `presence`.' },
        ...{ params: TopicParams, querystring: MembersQuery, response: { 200: Members, ...refusals } },
      },
    },
    async (request, reply) => {
      const { tenant, permissions } = callerOf(request, ctx);
      const topic = (request.params as Static<typeof TopicParams>).topic as TopicName;
      if (!permissions.allows('presence', topic))
        throw new RefusedRequest(refusal('permission_denied', `the token lacks presence:${topic}`));
      const { after, limit = presenceMembersMax } = request.query as Static<typeof MembersQuery>;
      const key = topicKey(tenant, topic);
      const { result } = await accepted((receiver) =>
        ctx.presence.members(key, after as UserId | undefined, limit, receiver),
      );
      return reply.send(result);
    },
  );
}
