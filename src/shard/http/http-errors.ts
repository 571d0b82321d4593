/** Errors of the HTTP API: `{error: {code, message, retryable}}` with the codes of the protocol, never a stack. */
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify';
import { errorCodes, type Refusal, refusal } from '#proto/error-codes.ts';
import { Type } from '#proto/schema.ts';
import type { HttpContext } from './http-context.ts';

/** Thrown by routes; becomes the answer. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';
  readonly refusal: Refusal;

  constructor(reason: Refusal) {
    super(reason.message);
    this.refusal = reason;
  }
}

export const ErrorBody = Type.Object(
  {
    error: Type.Object({
      code: Type.String({ description: "One of the protocol's error codes." }),
      message: Type.String({ description: 'For people; names the field or the limit.' }),
      retryable: Type.Boolean({ description: 'May the same request succeed later?' }),
      retryAfterMs: Type.Optional(Type.Integer({ description: 'Not before this long.' })),
    }),
  },
  { description: 'It did not work.' },
);

export function answerErrors(app: FastifyInstance, { log }: HttpContext): void {
  app.setNotFoundHandler((request, reply) => {
    if (request.url.split('?')[0] === '/ws') {
      return reply
        .code(426)
        .header('upgrade', 'websocket')
        .send(bodyOf(refusal('bad_request', '/ws takes a WebSocket upgrade')));
    }
    return sendRefusal(
      reply,
      refusal('not_found', `there is no ${request.method} ${request.url.split('?')[0]}`),
    );
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof RefusedRequest) return sendRefusal(reply, error.refusal);
    if (error.validation) return sendRefusal(reply, refusal('bad_request', validationMessage(error)));
    if (error.statusCode === 413)
      return sendRefusal(reply, refusal('message_too_large', 'the body is larger than MAX_MESSAGE_BYTES'));
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return reply.code(error.statusCode).send(bodyOf(refusal('bad_request', error.message)));
    }
    log.error({ correlation: request.id, err: error }, 'route failed');
    return sendRefusal(reply, refusal('internal', `internal error ${request.id}`));
  });
}

function sendRefusal(reply: FastifyReply, reason: Refusal): FastifyReply {
  if (reason.retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(reason.retryAfterMs / 1000));
  return reply.code(errorCodes[reason.code].status).send(bodyOf(reason));
}

function bodyOf({ code, message, retryAfterMs }: Refusal): object {
  const { retryable } = errorCodes[code];
  return { error: { code, message, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) } };
}

/** ajv says where and what: `body/topic must match pattern …`. */
function validationMessage(error: FastifyError): string {
  return error.message.replaceAll('/', '.');
}
