/** What a verified token says, checked against a schema: the signature vouches for the sender, not for the form. */

import { defaultTenant, type Tenant, tenantPattern, type UserId, userIdPattern } from '#proto/names.ts';
import { compileValidator, type Static, Type } from '#proto/schema.ts';
import type { Permissions } from './permissions.ts';

const ClaimsShape = Type.Object({
  sub: Type.String({ pattern: userIdPattern, description: 'The user id.' }),
  exp: Type.Number({ description: 'Expiry, seconds since the epoch.' }),
  tenant: Type.Optional(
    Type.String({ pattern: tenantPattern, description: 'The tenant; `default` when absent.' }),
  ),
  roles: Type.Optional(Type.Array(Type.String(), { maxItems: 64, description: 'Names of roles.' })),
  permissions: Type.Optional(
    Type.Array(Type.String(), { maxItems: 256, description: '`action:pattern` entries.' }),
  ),
});
export type Claims = Static<typeof ClaimsShape>;
export const claimsValidator = compileValidator(ClaimsShape);

/** Who a connection or a call acts for. */
export interface Identity {
  userId: UserId;
  tenant: Tenant;
  permissions: Permissions;
  /** Wall clock, milliseconds; Infinity for API keys. */
  expiresAtMs: number;
}

export function identityOf(claims: Claims, permissions: Permissions): Identity {
  return {
    userId: claims.sub as UserId,
    tenant: (claims.tenant ?? defaultTenant) as Tenant,
    permissions,
    expiresAtMs: claims.exp * 1000,
  };
}
