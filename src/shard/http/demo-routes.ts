/**
 * The demo page and its development tokens. On outside production; in production only when DEMO_PAGE asks for it.
 * Files of web/ are read once at start; nothing is looked up on disk per request.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { userIdPattern } from '#proto/names.ts';
import { type Static, Type } from '#proto/schema.ts';
import { signDevelopmentToken } from '../../auth/sign-token.ts';
import type { HttpContext } from './http-context.ts';

const webDir = join(import.meta.dirname, '../../../web');
const contentTypes: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Nothing but our own files, no inline script or style, no framing. */
const securityHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

const tokenLifetimeMs = 24 * 3_600_000;
const TokenBody = Type.Object({
  name: Type.String({ pattern: userIdPattern, description: 'User id to sign in as.' }),
});

export function demoRoutes(app: FastifyInstance, ctx: HttpContext): void {
  for (const name of readdirSync(webDir, { recursive: true }) as string[]) {
    const contentType = contentTypes[extname(name)];
    if (contentType !== undefined) serveFile(app, name.replaceAll('\\', '/'), contentType);
  }
  const secret = ctx.developmentSecret;
  if (secret === undefined) return;
  app.post('/demo/token', { schema: { hide: true, body: TokenBody } }, async (request, reply) => {
    const { name } = request.body as Static<typeof TokenBody>;
    return reply
      .header('cache-control', 'no-store')
      .send({ userId: name, token: signDevelopmentToken(secret, name, tokenLifetimeMs) });
  });
}

/** A page is some thirty small files: after the first load each costs one 304. */
function serveFile(app: FastifyInstance, name: string, contentType: string): void {
  const content = readFileSync(join(webDir, name));
  const etag = `"${createHash('sha256').update(content).digest('base64url')}"`;
  const path = name === 'index.html' ? '/' : `/${name}`;
  app.get(path, { schema: { hide: true } }, async (request, reply) => {
    reply.headers({ ...securityHeaders, etag });
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    return reply.type(contentType).send(content);
  });
}
