/**
 * A token's text → who it is, or why not. The only place that trusts a token.
 * Thread: shard. Synchronous (9 to 120 us), so handlers may call it.
 */
import { TokenError } from 'fast-jwt';
import { type Refusal, refusal } from '#proto/error-codes.ts';
import { tokenBytesMax } from '#proto/limits.ts';
import type { KeySet } from './key-set.ts';
import { type ConfiguredRoles, PermissionSource } from './permissions.ts';
import { claimsValidator, type Identity, identityOf } from './token-claims.ts';

export type TokenVerdict = { ok: true; identity: Identity } | { ok: false; refusal: Refusal };

export interface TokenVerifier {
  verify(token: string): TokenVerdict;
}

export function createTokenVerifier(keys: KeySet, configuredRoles: ConfiguredRoles): TokenVerifier {
  const permissions = new PermissionSource(configuredRoles);
  return {
    verify(token) {
      if (token.length > tokenBytesMax)
        return unauthorized(`the token is longer than ${tokenBytesMax} bytes`);
      try {
        const verify = keys.verifierFor(token);
        if (verify === undefined) return unauthorized("no key with the token's kid");
        const claims = verify(token);
        if (!claimsValidator.check(claims)) {
          const { path, message } = claimsValidator.firstError(claims);
          return unauthorized(`the token's claim ${path.slice(1)} ${message}`);
        }
        return { ok: true, identity: identityOf(claims, permissions.of(claims)) };
      } catch (error) {
        return unauthorized(reasonOf(error));
      }
    },
  };
}

function unauthorized(message: string): TokenVerdict {
  return { ok: false, refusal: refusal('unauthorized', message) };
}

/** In our words: the library's messages may quote the token. */
function reasonOf(error: unknown): string {
  // fast-jwt caches the error. A stack that was never read keeps every `this` below it alive: sessions, sockets.
  void (error as Error).stack;
  const code = error instanceof TokenError ? error.code : undefined;
  return (code !== undefined && reasons[code]) || 'the token is not valid';
}

const reasons: Record<string, string> = {
  [TokenError.codes.expired]: 'the token has expired',
  [TokenError.codes.inactive]: 'the token is not valid yet',
  [TokenError.codes.invalidSignature]: "the token's signature does not fit",
  [TokenError.codes.missingSignature]: 'the token is not signed',
  [TokenError.codes.invalidAlgorithm]: "the token's algorithm is not accepted",
  [TokenError.codes.malformed]: 'the token is malformed',
  [TokenError.codes.missingRequiredClaim]: 'the token lacks exp or sub',
  [TokenError.codes.invalidClaimValue]: "the token's issuer or audience is not accepted",
};
