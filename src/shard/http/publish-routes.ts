/** Publishing from servers: to a topic, to everyone, to one user. The same homes as the WebSocket commands. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { priorities } from '#proto/data.ts';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import { eventCharsMax, idCharsMax } from '#proto/limits.ts';
import {
  everyoneTopic,
  isReservedTopic,
  type TopicName,
  topicKey,
  topicPattern,
  type UserId,
  userIdPattern,
  userKey,
} from '#proto/names.ts';
import { type Static, Type } from '#proto/schema.ts';
import type { Identity } from '../../auth/token-claims.ts';
import type { AnswerReceiver, Requested } from '../../session/ports.ts';
import { checkValue } from '../../wire/check-value.ts';
import { type Message, messageOf } from '../../wire/message.ts';
import { WireError } from '../../wire/wire-error.ts';
import { accepted } from './awaited-answer.ts';
import { callerOf } from './http-caller.ts';
import type { HttpContext } from './http-context.ts';
import { ErrorBody, RefusedRequest } from './http-errors.ts';

const messageFields = {
  payload: Type.Unknown({ description: 'Any JSON value; passed on as it is.' }),
  event: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: eventCharsMax,
      description: 'What kind of thing the payload is.',
    }),
  ),
  priority: Type.Optional(Type.String({ enum: [...priorities], description: 'Default `normal`.' })),
  ttlMs: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Not worth delivering after this long, milliseconds.' }),
  ),
  key: Type.Optional(
    Type.String({ minLength: 1, maxLength: idCharsMax, description: 'Idempotency key, unique per sender.' }),
  ),
  from: Type.Optional(
    Type.String({ pattern: userIdPattern, description: 'Sender to show; others than oneself need `admin`.' }),
  ),
};
const PublishBody = Type.Object({
  topic: Type.String({ pattern: topicPattern, description: 'The topic.' }),
  ...messageFields,
});
const BroadcastBody = Type.Object(messageFields);
type MessageBody = Static<typeof BroadcastBody>;
const DirectBody = Type.Object({
  to: Type.String({ pattern: userIdPattern, description: 'The user.' }),
  ...messageFields,
});
const Accepted = Type.Object({
  messageId: Type.String({ description: 'Given by the server, UUIDv7.' }),
  duplicate: Type.Boolean({ description: 'The key was seen before: nothing new was sent.' }),
  offset: Type.Optional(Type.Integer({ description: 'In the log of a durable topic.' })),
  epoch: Type.Optional(Type.String({ description: 'With another epoch, offsets of before mean nothing.' })),
});

const answers = {
  200: Accepted,
  400: ErrorBody,
  401: ErrorBody,
  403: ErrorBody,
  409: ErrorBody,
  413: ErrorBody,
  429: ErrorBody,
  503: ErrorBody,
};
const schemaOf = (description: string, body: object) => ({
  schema: { tags: ['messages'], description, security: [{ bearer: [] }], body, response: answers },
});

export function publishRoutes(app: FastifyInstance, ctx: HttpContext): void {
  app.post(
    '/api/v1/publish',
    schemaOf('To everyone who subscribed to a topic.', PublishBody),
    async (request, reply) => {
      const caller = callerOf(request, ctx);
      const body = request.body as Static<typeof PublishBody>;
      const topic = body.topic as TopicName;
      if (isReservedTopic(topic))
        throw refuse(refusal('invalid_topic', `body.topic "${topic}" belongs to the server`));
      assertAllowed(caller, 'publish', topic);
      const message = requestedMessage(body, caller);
      return accept(reply, (receiver) =>
        ctx.topics.publish(topicKey(caller.tenant, topic), message, receiver),
      );
    },
  );

  app.post(
    '/api/v1/broadcast',
    schemaOf('To every connected user of the tenant.', BroadcastBody),
    async (request, reply) => {
      const caller = callerOf(request, ctx);
      assertAllowed(caller, 'broadcast', 'all');
      const message = requestedMessage(request.body as MessageBody, caller);
      return accept(reply, (receiver) =>
        ctx.topics.publish(topicKey(caller.tenant, everyoneTopic), message, receiver),
      );
    },
  );

  app.post(
    '/api/v1/direct',
    schemaOf('To all devices of one user.', DirectBody),
    async (request: FastifyRequest, reply) => {
      const caller = callerOf(request, ctx);
      const body = request.body as Static<typeof DirectBody>;
      assertAllowed(caller, 'direct', body.to);
      const message = requestedMessage(body, caller);
      const recipient = userKey(caller.tenant, body.to as UserId);
      return accept(reply, (receiver) =>
        ctx.users.direct(recipient, message, userKey(caller.tenant, message.from), null, receiver),
      );
    },
  );
}

function requestedMessage(body: MessageBody, caller: Identity): Message {
  const from = (body.from ?? caller.userId) as UserId;
  if (from !== caller.userId && !caller.permissions.isAdmin) {
    throw refuse(refusal('permission_denied', `the token lacks admin, which body.from "${from}" needs`));
  }
  assertPlain(body.payload);
  return messageOf(from, body as Parameters<typeof messageOf>[1]);
}

/** What a WebSocket client could not send either: a payload is the third level of its envelope. */
function assertPlain(payload: unknown): void {
  try {
    checkValue(payload, 3);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw refuse(refusal('bad_request', `body.payload: ${error.message}`));
  }
}

function assertAllowed(
  { permissions }: Identity,
  action: 'publish' | 'broadcast' | 'direct',
  name: string,
): void {
  if (!permissions.allows(action, name))
    throw refuse(refusal('permission_denied', `the token lacks ${action}:${name}`));
}

/** Waits for the home's answer and sends it. */
async function accept(
  reply: FastifyReply,
  request: (receiver: AnswerReceiver) => Requested,
): Promise<FastifyReply> {
  const { messageId, isDuplicate = false, position } = await accepted(request);
  return reply.send({ messageId, duplicate: isDuplicate, ...position });
}

function refuse(reason: Refusal): RefusedRequest {
  return new RefusedRequest(reason);
}
