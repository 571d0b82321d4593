/**
 * The HTTP side of a shard: fastify on a server that never listens, because its sockets come from the primary.
 * Thread: shard. Made by shard.ts; the same server carries the WebSocket upgrades.
 */
import { readFileSync } from 'node:fs';
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type RequestListener,
} from 'node:http';
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https';
import swagger from '@fastify/swagger';
import { type FastifyInstance, fastify } from 'fastify';
import type { Config } from '../../config/load-config.ts';
import type { Logger } from '../../observe/logger.ts';
import { demoRoutes } from './demo-routes.ts';
import { historyRoutes } from './history-routes.ts';
import type { HttpContext } from './http-context.ts';
import { answerErrors } from './http-errors.ts';
import { operationsRoutes } from './operations-routes.ts';
import { presenceRoutes } from './presence-routes.ts';
import { publishRoutes } from './publish-routes.ts';
import { replayRoutes } from './replay-routes.ts';
import { sessionRoutes } from './session-routes.ts';
import { upkeepRoutes } from './upkeep-routes.ts';

/** Time for a request's headers, for all of it, and between two requests; milliseconds. Checked every second. */
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 10_000;
const keepAliveTimeoutMs = 15_000;
const checkIntervalMs = 1_000;
const headerBytesMax = 16 * 1024;
const tlsHandshakeTimeoutMs = 10_000;

export interface HttpEndpoint {
  app: FastifyInstance;
  server: HttpServer | HttpsServer;
}

/** Ready to be fed sockets by `server.emit('connection', socket)`. */
export async function openHttpEndpoint(ctx: HttpContext): Promise<HttpEndpoint> {
  let server: HttpServer | HttpsServer | undefined;
  const app = fastify({
    serverFactory: (listener) => (server = makeServer(ctx.config, listener)),
    // What a body may hold is said in one place, wire/check-value.ts, in words that name the field.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    bodyLimit: ctx.config.messageBytesMax,
    logger: false,
    genReqId: () => ctx.correlations.next(),
    // While the server drains, /health/ready says so itself; fastify's own 503 would hide it.
    return503OnClosing: false,
  });
  logFailures(app, ctx.log);
  answerErrors(app, ctx);
  await app.register(swagger, {
    openapi: {
      info: { title: 'Carillon', version: ctx.version, description: 'HTTP API of the realtime server.' },
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'An API key or a JWT.' } },
      },
    },
  });
  await app.register(async (routes) => {
    operationsRoutes(routes, ctx);
    publishRoutes(routes, ctx);
    historyRoutes(routes, ctx);
    upkeepRoutes(routes, ctx);
    sessionRoutes(routes, ctx);
    presenceRoutes(routes, ctx);
    replayRoutes(routes, ctx);
    if (ctx.config.demoPage) demoRoutes(routes, ctx);
  });
  await app.ready();
  const made = server as HttpServer | HttpsServer;
  // Never listens, and would never check its timeouts (reliability reference, finding 4).
  made.emit('listening');
  return { app, server: made };
}

function makeServer(config: Config, listener: RequestListener): HttpServer | HttpsServer {
  const options = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    connectionsCheckingInterval: checkIntervalMs,
    maxHeaderSize: headerBytesMax,
    shouldUpgradeCallback: isWebSocketUpgrade,
  };
  if (config.tlsCert === undefined || config.tlsKey === undefined) return createServer(options, listener);
  const tls = {
    cert: readSetting('TLS_CERT', config.tlsCert),
    key: readSetting('TLS_KEY', config.tlsKey),
    handshakeTimeout: tlsHandshakeTimeoutMs,
  };
  return createTlsServer({ ...options, ...tls }, listener);
}

/**
 * Any other upgrade is ignored, as RFC 9110 (7.8) allows: the request is answered as if it had not asked. So is one with a
 * body, whose bytes would be taken for frames.
 */
function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  return headers.upgrade?.toLowerCase() === 'websocket' && !hasBody;
}

/** Throws a sentence with the name of the setting. */
function readSetting(name: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(
      `${name} is ${JSON.stringify(path)}; the file cannot be read: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Correlation: the request id, which the response carries too. */
function logFailures(app: FastifyInstance, log: Logger): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const fields = {
      correlation: request.id,
      method: request.method,
      route: request.routeOptions.url,
      status: reply.statusCode,
    };
    if (reply.statusCode >= 500 && reply.statusCode !== 503) log.error(fields, 'request failed');
    else log.debug(fields, 'request');
  });
}
