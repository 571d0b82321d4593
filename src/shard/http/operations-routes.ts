/** For those who run the server: health, readiness, metrics, facts, the API's description. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { Type } from '#proto/schema.ts';
import type { HttpContext } from './http-context.ts';

const tags = ['operations'];

export function operationsRoutes(app: FastifyInstance, ctx: HttpContext): void {
  const Health = Type.Object({ status: Type.String({ description: '`ok` while the process answers.' }) });
  app.get(
    '/health',
    { schema: { tags, description: 'Is the process alive?', response: { 200: Health } } },
    async () => ({
      status: 'ok',
    }),
  );

  const Ready = Type.Object({
    status: Type.String({ description: '`ready`, `draining` or `starting`.' }),
    dependencies: Type.Record(Type.String(), Type.String(), { description: 'State of each dependency.' }),
  });
  const readySchema = {
    tags,
    description: 'Should new connections come here?',
    response: { 200: Ready, 503: Ready },
  };
  for (const path of ['/health/ready', '/ready']) {
    app.get(path, { schema: readySchema }, async (_request, reply) => answerReady(reply, ctx));
  }

  app.get(
    '/metrics',
    { schema: { tags, description: 'Metrics of all threads, Prometheus text.' } },
    async (_request, reply) => {
      reply.header('content-type', ctx.metricsPage.contentType);
      return ctx.metricsPage.render();
    },
  );

  app.get('/info', { schema: { tags, description: 'Name, version, limits.' } }, async () => info(ctx));

  app.get('/openapi.json', { schema: { tags, description: 'This description.' } }, async () => app.swagger());
}

function answerReady(reply: FastifyReply, ctx: HttpContext): FastifyReply {
  const shards = ctx.shardsUp();
  const status = ctx.isDraining() ? 'draining' : shards.some((isUp) => isUp) ? 'ready' : 'starting';
  const dependencies = Object.fromEntries(
    shards.map((isUp, shard) => [`shard ${shard}`, isUp ? 'up' : 'restarting']),
  );
  // A server whose store is away still serves what is volatile: it is said, and connections are not sent elsewhere for it.
  dependencies['store'] = ctx.isStoreUp() ? 'up' : 'down';
  return reply.code(status === 'ready' ? 200 : 503).send({ status, dependencies });
}

function info({ config, version, shard, clock, startedAtMs }: HttpContext): object {
  return {
    name: 'carillon',
    version,
    node: config.nodeId,
    shard,
    shards: config.shards,
    uptimeSeconds: Math.floor((clock.wallMs() - startedAtMs) / 1000),
    limits: {
      maxConnections: config.connectionsMax,
      maxMessageBytes: config.messageBytesMax,
      maxSubscriptions: config.subscriptionsMax,
      heartbeatMs: config.heartbeatIntervalMs,
      clientTimeoutMs: config.clientTimeoutMs,
    },
  };
}
