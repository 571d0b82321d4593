/** Who calls the HTTP API: an API key or a JWT, in `Authorization: Bearer`. */
import type { FastifyRequest } from 'fastify';
import { refusal } from '#proto/error-codes.ts';
import { userKey } from '#proto/names.ts';
import { apiKeyIdentity, isApiKey } from '../../auth/api-keys.ts';
import type { Identity } from '../../auth/token-claims.ts';
import { bearerHeader } from '../handshake.ts';
import type { HttpContext } from './http-context.ts';
import { RefusedRequest } from './http-errors.ts';

/** Throws RefusedRequest with `unauthorized` or `rate_limited`. */
export function callerOf(
  request: FastifyRequest,
  { config, tokens, clock, callRates }: HttpContext,
): Identity {
  const credential = bearerHeader(request.headers.authorization);
  if (credential === undefined) {
    throw new RefusedRequest(
      refusal('unauthorized', 'Authorization: Bearer with an API key or a JWT is required'),
    );
  }
  if (config.apiKeys !== undefined && isApiKey(config.apiKeys, credential)) return apiKeyIdentity;
  const verdict = tokens.verify(credential);
  if (!verdict.ok) throw new RefusedRequest(verdict.refusal);
  const { tenant, userId } = verdict.identity;
  const waitMs = callRates?.take(userKey(tenant, userId), clock.monotonicMs()) ?? 0;
  if (waitMs > 0) throw new RefusedRequest(refusal('rate_limited', 'too many calls with this token', waitMs));
  return verdict.identity;
}
