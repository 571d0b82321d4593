/** For administrators: a topic's past, published anew. The answer tells the progress, and ends with it. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { refusal } from '#proto/error-codes.ts';
import { isReservedTopic, type TopicName, topicKey, topicPattern } from '#proto/names.ts';
import { type Static, Type } from '#proto/schema.ts';
import { type ReplayRequest, replayTopic } from '../topic-replay.ts';
import { TopicParams } from './history-routes.ts';
import type { HttpContext } from './http-context.ts';
import { ErrorBody, RefusedRequest } from './http-errors.ts';
import { administratorOf, audit } from './upkeep-routes.ts';

/** A line of progress at most this often, milliseconds. */
const progressEveryMs = 1000;
const speedMax = 1000;

const ReplayBody = Type.Object({
  into: Type.String({ pattern: topicPattern, description: 'Where it is published; another topic.' }),
  from: Type.String({ description: 'The first moment, ISO 8601, like 2026-01-31T09:00:00Z.' }),
  to: Type.String({ description: 'The moment behind the last, ISO 8601.' }),
  speed: Type.Optional(
    Type.Union(
      [
        Type.Number({ exclusiveMinimum: 0, maximum: speedMax }),
        Type.Literal('max', { description: 'Without waiting.' }),
      ],
      { description: `Times as fast as it was, up to ${speedMax}; default 1.` },
    ),
  ),
});

export function replayRoutes(app: FastifyInstance, ctx: HttpContext): void {
  app.post(
    '/api/v1/topics/:topic/replay',
    {
      schema: {
        tags: ['administration'],
        description:
          'Publishes a stretch of the past of a topic into another one. Answers lines of JSON with the progress; closing the connection ends the replay.',
        security: [{ bearer: [] }],
        params: TopicParams,
        body: ReplayBody,
        response: { 400: ErrorBody, 401: ErrorBody, 403: ErrorBody },
      },
    },
    async (request, reply) => {
      const caller = administratorOf(request, ctx);
      const topic = (request.params as Static<typeof TopicParams>).topic as TopicName;
      const asked = replayOf(request.id, topic, caller.tenant, request.body as Static<typeof ReplayBody>);
      audit(ctx, request, caller, 'replays a topic', { topic, ...(request.body as object) });
      const gone = new AbortController();
      reply.raw.on('close', () => gone.abort());
      const lines = Readable.from(progressOf(asked, ctx, gone.signal));
      return reply.type('application/x-ndjson').send(lines);
    },
  );
}

function replayOf(
  id: string,
  topic: TopicName,
  tenant: Parameters<typeof topicKey>[0],
  { into, from, to, speed = 1 }: Static<typeof ReplayBody>,
): ReplayRequest {
  const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
  if (into === topic) throw bad('body.into is the topic itself');
  if (isReservedTopic(into as TopicName)) throw bad(`body.into "${into}" belongs to the server`);
  if (Number.isNaN(fromMs)) throw bad('body.from is no moment in ISO 8601');
  if (Number.isNaN(toMs)) throw bad('body.to is no moment in ISO 8601');
  if (toMs <= fromMs) throw bad('body.to is not behind body.from');
  return {
    ...{ id, source: topicKey(tenant, topic), into: topicKey(tenant, into as TopicName), fromMs, toMs },
    speed: speed === 'max' ? Number.POSITIVE_INFINITY : speed,
  };
}

/** What went wrong is the last line: the status has gone out before. */
async function* progressOf(
  request: ReplayRequest,
  { topics, history, clock }: HttpContext,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let published = 0;
  let saidAtMs = Number.NEGATIVE_INFINITY;
  try {
    for await (const offset of replayTopic(request, { topics, history, signal })) {
      published++;
      if (clock.monotonicMs() - saidAtMs < progressEveryMs) continue;
      saidAtMs = clock.monotonicMs();
      yield `${JSON.stringify({ published, offset })}\n`;
    }
    yield `${JSON.stringify({ published, done: true })}\n`;
  } catch (error) {
    if (!signal.aborted) yield `${JSON.stringify({ published, error: (error as Error).message })}\n`;
  }
}

function bad(message: string): RefusedRequest {
  return new RefusedRequest(refusal('bad_request', message));
}
