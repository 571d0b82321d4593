/**
 * Sessions that may be taken over, and users who were seen.
 * Thread: store. Called by sqlite-history-store.ts, whatever writes inside a transaction.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type SessionId,
  type ShardId,
  type Tenant,
  tenantOfKey,
  type UserId,
  userOfKey,
} from '#proto/names.ts';
import type { HistoryStore, KeptSession, SeenUser, StoreQueries } from '../history-store.ts';

export class KeptSessions {
  readonly #keep: StatementSync;
  readonly #end: StatementSync;
  readonly #find: StatementSync;
  readonly #release: StatementSync;
  readonly #sweep: StatementSync;
  readonly #drop: StatementSync;
  readonly #see: StatementSync;
  readonly #seen: StatementSync;
  /** All that is known of one user. */
  readonly #forget: StatementSync[];

  constructor(database: DatabaseSync) {
    this.#keep = database.prepare(
      `INSERT OR REPLACE INTO sessions
         (session_id, token_hash, former_id, former_hash, tenant, user_id, home, state, expires_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#end = database.prepare('DELETE FROM sessions WHERE session_id = ?');
    // Its own name goes before.
    this.#find = database.prepare(
      `SELECT session_id AS session, token_hash AS tokenHash, former_id AS formerId, former_hash AS formerHash,
         home, state, expires_at AS expiresAtMs
       FROM sessions WHERE (session_id = ?1 OR former_id = ?1) AND tenant = ?2 AND user_id = ?3
         AND (expires_at IS NULL OR expires_at > ?4)
       ORDER BY session_id <> ?1, expires_at DESC NULLS FIRST LIMIT 1`,
    );
    this.#release = database.prepare(
      'UPDATE sessions SET expires_at = ?1 WHERE expires_at IS NULL AND (?2 IS NULL OR home = ?2)',
    );
    this.#drop = database.prepare(
      'DELETE FROM sessions WHERE tenant = ?1 AND (?2 IS NULL OR user_id = ?2) AND (?3 IS NULL OR session_id = ?3)',
    );
    this.#sweep = database.prepare(
      `DELETE FROM sessions WHERE session_id IN (
         SELECT session_id FROM sessions WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
    );
    this.#see = database.prepare(
      `INSERT INTO seen_users (tenant, user_id, last_seen_at, devices) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET last_seen_at = excluded.last_seen_at, devices = excluded.devices
         WHERE excluded.last_seen_at >= last_seen_at`,
    );
    this.#seen = database.prepare(
      'SELECT last_seen_at AS lastSeenMs, devices FROM seen_users WHERE tenant = ? AND user_id = ?',
    );
    this.#forget = ['sessions', 'seen_users'].map((table) =>
      database.prepare(`DELETE FROM ${table} WHERE tenant = ? AND user_id = ?`),
    );
  }

  keep({ sessions, ended, seen }: Parameters<StoreQueries['keep']>[0]): void {
    for (const { session, tokenHash, former, user, home, state, expiresAtMs } of sessions) {
      this.#keep.run(
        ...[session, tokenHash, former?.session ?? null, former?.tokenHash ?? null],
        ...[tenantOfKey(user), userOfKey(user), home, state, expiresAtMs ?? null],
      );
    }
    for (const session of ended) this.#end.run(session);
    for (const { user, lastSeenMs, devices } of seen) {
      this.#see.run(tenantOfKey(user), userOfKey(user), lastSeenMs, devices);
    }
  }

  find({ session, user, nowMs }: Parameters<StoreQueries['kept']>[0]): KeptSession | null {
    const row = this.#find.get(session, tenantOfKey(user), userOfKey(user), nowMs) as KeptRow | undefined;
    if (row === undefined) return null;
    const { formerId, formerHash, expiresAtMs, home, state, tokenHash } = row;
    const former = formerId === null ? undefined : { session: formerId, tokenHash: formerHash as string };
    return {
      ...{ session: row.session, tokenHash, former, user, home, state },
      expiresAtMs: expiresAtMs ?? undefined,
    };
  }

  seen(users: readonly SeenUser['user'][]): SeenUser[] {
    return [...new Set(users)].flatMap((user) => {
      const row = this.#seen.get(tenantOfKey(user), userOfKey(user)) as Omit<SeenUser, 'user'> | undefined;
      return row === undefined ? [] : { user, ...row };
    });
  }

  release({ expiresAtMs, home }: Parameters<HistoryStore['releaseSessions']>[0]): void {
    this.#release.run(expiresAtMs, home ?? null);
  }

  drop({ tenant, user, session }: Parameters<StoreQueries['dropSessions']>[0]): void {
    if (user !== undefined || session !== undefined) this.#drop.run(tenant, user ?? null, session ?? null);
  }

  sweep({ nowMs, limit }: Parameters<HistoryStore['sweepSessions']>[0]): number {
    return Number(this.#sweep.run(nowMs, limit).changes);
  }

  forget(tenant: Tenant, user: UserId): void {
    for (const statement of this.#forget) statement.run(tenant, user);
  }
}

interface KeptRow {
  session: SessionId;
  tokenHash: string;
  formerId: SessionId | null;
  formerHash: string | null;
  home: ShardId;
  state: Uint8Array;
  expiresAtMs: number | null;
}
