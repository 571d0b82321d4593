/**
 * What a token allows: a list of `action:pattern`, where `*` matches any run of characters. Pure.
 * Patterns are matched by a linear scan, never by a RegExp: a token is not trusted to be quick to match.
 */

export const actions = [
  'subscribe',
  'publish',
  'history',
  'presence',
  'direct',
  'broadcast',
  'edit',
  'delete',
  'admin',
] as const;
export type Action = (typeof actions)[number];

/** Roles that exist without configuration; the design's protocol, section 9. */
const builtInRoles: Record<string, readonly string[]> = {
  user: ['subscribe:*', 'publish:*', 'history:*', 'presence:*', 'direct:*'],
  admin: [
    ...actions.filter((action) => action !== 'broadcast').map((action) => `${action}:*`),
    'broadcast:all',
  ],
};

/** Topics that a token without `admin:*` reaches only by patterns that begin with the same word. */
const adminTopics = ['admin:', 'sys:'];

export class Permissions {
  readonly #patterns = new Map<Action, string[]>();

  /** Unknown actions are dropped: a token may carry permissions of other services. */
  constructor(entries: Iterable<string>) {
    for (const entry of entries) {
      const colon = entry.indexOf(':');
      const action = (colon < 0 ? entry : entry.slice(0, colon)) as Action;
      if (!actions.includes(action)) continue;
      const pattern = colon < 0 ? '*' : entry.slice(colon + 1).replaceAll(/\*+/g, '*');
      this.#patterns.set(action, [...(this.#patterns.get(action) ?? []), pattern]);
    }
  }

  /** May it do `action` to `name` (a topic, a user, `all`)? */
  allows(action: Action, name: string): boolean {
    const patterns = this.#patterns.get(action);
    if (patterns === undefined) return false;
    const guard = this.isAdmin ? '' : (adminTopics.find((prefix) => name.startsWith(prefix)) ?? '');
    return patterns.some((pattern) => pattern.startsWith(guard) && matches(pattern, name));
  }

  /** `admin:*`, and nothing narrower: `admin:chat:*` is about `chat:*` only. */
  get isAdmin(): boolean {
    return this.#patterns.get('admin')?.includes('*') === true;
  }
}

/**
 * Permissions of a token: its own and those of its roles, together. With neither claim: the role `user`.
 * `configuredRoles` win over built-in ones of the same name; unknown roles give nothing.
 */
export function derivePermissions(
  claims: { roles?: readonly string[]; permissions?: readonly string[] },
  configuredRoles: Readonly<Record<string, readonly string[]>>,
): Permissions {
  const roles = claims.roles ?? (claims.permissions === undefined ? ['user'] : []);
  const fromRoles = roles.flatMap((role) => rolePermissions(role, configuredRoles));
  return new Permissions([...fromRoles, ...(claims.permissions ?? [])]);
}

function rolePermissions(
  role: string,
  configuredRoles: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  if (Object.hasOwn(configuredRoles, role)) return configuredRoles[role] ?? [];
  return Object.hasOwn(builtInRoles, role) ? (builtInRoles[role] ?? []) : [];
}

/** Greedy glob with one step back: O(pattern x name) at worst, both are short. */
function matches(pattern: string, name: string): boolean {
  let at = 0;
  let nameAt = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (nameAt < name.length) {
    if (pattern[at] === '*') {
      starAt = at++;
      resumeAt = nameAt;
    } else if (pattern[at] === name[nameAt]) {
      at++;
      nameAt++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      nameAt = ++resumeAt;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
