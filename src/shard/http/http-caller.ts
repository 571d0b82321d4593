/** Who calls the HTTP API: an API key or a JWT, in `Authorization: Bearer`. */
import type { FastifyRequest } from 'fastify';
import { refusal } from '#proto/error-codes.ts';
import { apiKeyIdentity, isApiKey } from '../../auth/api-keys.ts';
import type { Identity } from '../../auth/token-claims.ts';
import { bearerHeader } from '../handshake.ts';
import type { HttpContext } from './http-context.ts';
import { RefusedRequest } from './http-errors.ts';

/** Throws RefusedRequest with `unauthorized`. */
export function callerOf(request: FastifyRequest, { config, tokens }: HttpContext): Identity {
  const credential = bearerHeader(request.headers.authorization);
  if (credential === undefined) {
    throw new RefusedRequest(
      refusal('unauthorized', 'Authorization: Bearer with an API key or a JWT is required'),
    );
  }
  if (config.apiKeys !== undefined && isApiKey(config.apiKeys, credential)) return apiKeyIdentity;
  const verdict = tokens.verify(credential);
  if (!verdict.ok) throw new RefusedRequest(verdict.refusal);
  return verdict.identity;
}
