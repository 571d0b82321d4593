/** Keys of server-to-server calls, compared in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { defaultTenant, type UserId } from '#proto/names.ts';
import { actions, Permissions } from './permissions.ts';
import type { Identity } from './token-claims.ts';

/** Whether `given` is one of `keys`; hashed first, so that neither content nor length shows in the time it takes. */
export function isApiKey(keys: readonly string[], given: string): boolean {
  const digest = sha256(given);
  return keys.reduce((found, key) => timingSafeEqual(sha256(key), digest) || found, false);
}

/** An API key may do everything in the default tenant. */
export const apiKeyIdentity: Identity = {
  userId: 'server' as UserId,
  tenant: defaultTenant,
  permissions: new Permissions(actions.map((action) => `${action}:*`)),
  expiresAtMs: Number.POSITIVE_INFINITY,
};

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
