/** What a store keeps of sessions and of users who were seen, in memory: the promises of src/store/history-store.ts. */
import { type SessionId, tenantOfKey, type UserKey, userOfKey } from '#proto/names.ts';
import type { HistoryStore, KeptSession, SeenUser } from '../../src/store/history-store.ts';

type Request<Name extends 'keep' | 'kept' | 'seen' | 'dropSessions' | 'releaseSessions' | 'sweepSessions'> =
  Parameters<HistoryStore[Name]>[0];

export class MemoryKeptSessions {
  readonly #sessions = new Map<SessionId, KeptSession>();
  readonly #seen = new Map<UserKey, SeenUser>();

  keep({ sessions, ended, seen }: Request<'keep'>): void {
    for (const kept of sessions) this.#sessions.set(kept.session, { ...kept });
    for (const session of ended) this.#sessions.delete(session);
    for (const one of seen) {
      const known = this.#seen.get(one.user);
      if (known === undefined || one.lastSeenMs >= known.lastSeenMs) this.#seen.set(one.user, { ...one });
    }
  }

  kept({ session, user, nowMs }: Request<'kept'>): KeptSession | null {
    const found = [...this.#sessions.values()].filter(
      (kept) =>
        (kept.session === session || kept.former?.session === session) &&
        kept.user === user &&
        endOf(kept) > nowMs,
    );
    const byOwnName = found.find((kept) => kept.session === session);
    const [longest] = found.sort((a, b) => (endOf(a) < endOf(b) ? 1 : -1));
    const kept = byOwnName ?? longest;
    return kept === undefined ? null : { ...kept };
  }

  seen({ users }: Request<'seen'>): SeenUser[] {
    const found = [...new Set(users)].map((user) => this.#seen.get(user));
    return found.filter((one) => one !== undefined).map((one) => ({ ...one }));
  }

  dropSessions({ tenant, user, session }: Request<'dropSessions'>): void {
    if (user === undefined && session === undefined) return;
    for (const kept of [...this.#sessions.values()]) {
      const isNamed = session === undefined || kept.session === session;
      const isOfUser = user === undefined || userOfKey(kept.user) === user;
      if (isNamed && isOfUser && tenantOfKey(kept.user) === tenant) this.#sessions.delete(kept.session);
    }
  }

  releaseSessions({ expiresAtMs, home }: Request<'releaseSessions'>): void {
    for (const kept of this.#sessions.values()) {
      if (home === undefined || kept.home === home) kept.expiresAtMs ??= expiresAtMs;
    }
  }

  sweepSessions({ nowMs, limit }: Request<'sweepSessions'>): number {
    const over = [...this.#sessions.values()].filter((kept) => endOf(kept) <= nowMs).slice(0, limit);
    for (const { session } of over) this.#sessions.delete(session);
    return over.length;
  }
}

function endOf({ expiresAtMs }: KeptSession): number {
  return expiresAtMs ?? Number.POSITIVE_INFINITY;
}
