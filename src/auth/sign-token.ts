/** Development tokens: for the start-up banner and the demo page. Never used where keys are configured from outside. */
import { createSigner } from 'fast-jwt';

/** An HS256 token of `user` with the role `user`, valid for `lifetimeMs`. */
export function signDevelopmentToken(secret: string, user: string, lifetimeMs: number): string {
  return createSigner({ key: secret, algorithm: 'HS256', expiresIn: lifetimeMs })({ sub: user });
}
