/**
 * What a token allows: a list of `action:pattern`, where `*` matches any run of characters. Pure.
 * Patterns are matched by a linear scan, never by a RegExp: a token is not trusted to be quick to match.
 */

import { matchesPattern } from '#kit/pattern.ts';

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
    return patterns.some((pattern) => pattern.startsWith(guard) && matchesPattern(pattern, name));
  }

  /** Names that it may do `action` to, as patterns; where they meet the server's own names, `allows` is what counts. */
  patterns(action: Action): readonly string[] {
    return this.#patterns.get(action) ?? [];
  }

  /** `admin:*`, and nothing narrower: `admin:chat:*` is about `chat:*` only. */
  get isAdmin(): boolean {
    return this.#patterns.get('admin')?.includes('*') === true;
  }
}

export type ConfiguredRoles = Readonly<Record<string, readonly string[]>>;

/** Different lists of roles that are remembered; a token may carry any list. */
const roleListsMax = 256;

/**
 * Permissions of tokens: their own and those of their roles, together. With neither claim: the role `user`.
 * `configuredRoles` win over built-in ones of the same name; unknown roles give nothing.
 * Tokens that have roles only share one object per list of roles: most connections of a server are of one kind.
 */
export class PermissionSource {
  readonly #configuredRoles: ConfiguredRoles;
  readonly #byRoles = new Map<string, Permissions>();

  constructor(configuredRoles: ConfiguredRoles) {
    this.#configuredRoles = configuredRoles;
  }

  of({ roles, permissions }: { roles?: readonly string[]; permissions?: readonly string[] }): Permissions {
    if (permissions === undefined) return this.#ofRoles(roles ?? ['user']);
    return new Permissions([...this.#entriesOf(roles ?? []), ...permissions]);
  }

  #ofRoles(roles: readonly string[]): Permissions {
    const name = JSON.stringify(roles);
    const known = this.#byRoles.get(name);
    if (known !== undefined) return known;
    const permissions = new Permissions(this.#entriesOf(roles));
    if (this.#byRoles.size < roleListsMax) this.#byRoles.set(name, permissions);
    return permissions;
  }

  #entriesOf(roles: readonly string[]): string[] {
    return roles.flatMap((role) => {
      if (Object.hasOwn(this.#configuredRoles, role)) return this.#configuredRoles[role] ?? [];
      return Object.hasOwn(builtInRoles, role) ? (builtInRoles[role] ?? []) : [];
    });
  }
}
