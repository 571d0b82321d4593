/**
 * Sessions that may be taken over, and users who were seen.
 * Thread: store. Called by postgres-history-store.ts. Everything here locks sessions by their names, in order, and users
 * behind them, also by name: two servers never wait for each other in a circle.
 */
import {
  type SessionId,
  type ShardId,
  type Tenant,
  tenantOfKey,
  type UserId,
  type UserKey,
  userKey,
  userOfKey,
} from '#proto/names.ts';
import type { HistoryStore, KeptSession, SeenUser, StoreQueries } from '../history-store.ts';
import type { Sql } from './sql.ts';
import { msOf, timeFrom } from './values.ts';

/** In a transaction. */
export async function keep(
  sql: Sql,
  { sessions, ended, seen }: Parameters<StoreQueries['keep']>[0],
): Promise<void> {
  // A statement takes a row once: what is older within one call is left out here.
  const byName = new Map(sessions.map((kept) => [kept.session, kept]));
  for (const session of ended) byName.set(session, endedRow(session));
  if (byName.size > 0) await keepSessions(sql, [...byName.values()]);
  if (ended.length > 0) await sql.all('DELETE FROM sessions WHERE session_id = ANY($1::text[])', [ended]);
  if (seen.length > 0) await see(sql, youngest(seen));
}

/**
 * Takes the place of one that ended among those that are written, for the sake of the order of locks: it is locked where it
 * is there, written where it is not, and deleted next.
 */
function endedRow(session: SessionId): KeptSession {
  const user = userKey('' as Tenant, '' as UserId);
  return {
    session,
    tokenHash: '',
    former: undefined,
    user,
    home: 0 as ShardId,
    state: new Uint8Array(0),
    expiresAtMs: undefined,
  };
}

async function keepSessions(sql: Sql, sessions: readonly KeptSession[]): Promise<void> {
  await sql.all(
    `INSERT INTO sessions (session_id, token_hash, former_id, former_hash, tenant, user_id, home, state, expires_at)
     SELECT session_id, token_hash, former_id, former_hash, tenant, user_id, home, state, ${timeFrom('expires_ms')}
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::bytea[],
       $9::int8[]) AS given (session_id, token_hash, former_id, former_hash, tenant, user_id, home, state, expires_ms)
     ORDER BY session_id COLLATE "C"
     ON CONFLICT (session_id) DO UPDATE SET token_hash = excluded.token_hash, former_id = excluded.former_id,
       former_hash = excluded.former_hash, tenant = excluded.tenant, user_id = excluded.user_id, home = excluded.home,
       state = excluded.state, expires_at = excluded.expires_at
       WHERE excluded.tenant <> ''`,
    [
      ...[sessions.map(({ session }) => session), sessions.map(({ tokenHash }) => tokenHash)],
      ...[sessions.map(({ former }) => former?.session), sessions.map(({ former }) => former?.tokenHash)],
      ...[sessions.map(({ user }) => tenantOfKey(user)), sessions.map(({ user }) => userOfKey(user))],
      ...[sessions.map(({ home }) => home), sessions.map(({ state }) => state)],
      ...[sessions.map(({ expiresAtMs }) => expiresAtMs)],
    ],
  );
}

async function see(sql: Sql, seen: readonly SeenUser[]): Promise<void> {
  await sql.all(
    `INSERT INTO seen_users (tenant, user_id, last_seen_at, devices)
     SELECT tenant, user_id, ${timeFrom('seen_ms')}, devices
     FROM unnest($1::text[], $2::text[], $3::int8[], $4::bytea[]) AS given (tenant, user_id, seen_ms, devices)
     ORDER BY tenant COLLATE "C", user_id COLLATE "C"
     ON CONFLICT (tenant, user_id) DO UPDATE SET last_seen_at = excluded.last_seen_at, devices = excluded.devices
       WHERE excluded.last_seen_at >= seen_users.last_seen_at`,
    [
      ...[seen.map(({ user }) => tenantOfKey(user)), seen.map(({ user }) => userOfKey(user))],
      ...[seen.map(({ lastSeenMs }) => lastSeenMs), seen.map(({ devices }) => devices)],
    ],
  );
}

export async function keptSession(
  sql: Sql,
  { session, user, nowMs }: Parameters<StoreQueries['kept']>[0],
): Promise<KeptSession | null> {
  // A client says the name, and PostgreSQL has no NUL in its texts.
  if (session.includes('\0')) return null;
  // Its own name goes before.
  const [row] = await sql.all<KeptRow>(
    `SELECT session_id AS session, token_hash AS "tokenHash", former_id AS "formerId",
       former_hash AS "formerHash", home, state, ${msOf('expires_at')} AS "expiresAtMs"
     FROM sessions WHERE (session_id = $1 OR former_id = $1) AND tenant = $2 AND user_id = $3
       AND (expires_at IS NULL OR expires_at > ${timeFrom('$4::int8')})
     ORDER BY session_id <> $1, expires_at DESC NULLS FIRST LIMIT 1`,
    [session, tenantOfKey(user), userOfKey(user), nowMs],
  );
  if (row === undefined) return null;
  const { formerId, formerHash, expiresAtMs, home, state, tokenHash } = row;
  const former = formerId === null ? undefined : { session: formerId, tokenHash: formerHash as string };
  return {
    ...{ session: row.session, tokenHash, former, user, home, state },
    expiresAtMs: expiresAtMs ?? undefined,
  };
}

export async function seenUsers(sql: Sql, users: readonly UserKey[]): Promise<SeenUser[]> {
  const rows = await sql.all<Omit<SeenUser, 'user'> & { tenant: Tenant; id: UserId }>(
    `SELECT tenant, user_id AS id, ${msOf('last_seen_at')} AS "lastSeenMs", devices FROM seen_users
     WHERE (tenant, user_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
    [users.map(tenantOfKey), users.map(userOfKey)],
  );
  return rows.map(({ tenant, id, lastSeenMs, devices }) => ({
    ...{ user: userKey(tenant, id), lastSeenMs, devices },
  }));
}

export async function releaseSessions(
  sql: Sql,
  { expiresAtMs, home }: Parameters<HistoryStore['releaseSessions']>[0],
): Promise<void> {
  await sql.all(
    `WITH connected AS (SELECT session_id FROM sessions WHERE expires_at IS NULL AND ($2::int IS NULL OR home = $2)
       ORDER BY session_id FOR UPDATE)
     UPDATE sessions SET expires_at = ${timeFrom('$1::int8')}
     FROM connected WHERE sessions.session_id = connected.session_id`,
    [expiresAtMs, home],
  );
}

export async function dropSessions(
  sql: Sql,
  { tenant, user, session }: Parameters<StoreQueries['dropSessions']>[0],
): Promise<void> {
  if (user === undefined && session === undefined) return;
  await sql.all(
    `WITH named AS (
       SELECT session_id FROM sessions WHERE tenant = $1 AND ($2::text IS NULL OR user_id = $2)
         AND ($3::text IS NULL OR session_id = $3) ORDER BY session_id FOR UPDATE
     ) DELETE FROM sessions USING named WHERE sessions.session_id = named.session_id`,
    [tenant, user, session?.replaceAll('\0', '')],
  );
}

/** What is being written now is left to the next round. */
export async function sweepSessions(
  sql: Sql,
  { nowMs, limit }: Parameters<HistoryStore['sweepSessions']>[0],
): Promise<number> {
  const [{ count }] = (await sql.all(
    `WITH over AS (
       SELECT session_id FROM sessions WHERE expires_at <= ${timeFrom('$1::int8')}
       ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
     ), gone AS (DELETE FROM sessions USING over WHERE sessions.session_id = over.session_id RETURNING 1)
     SELECT count(*) AS count FROM gone`,
    [nowMs, limit],
  )) as [{ count: number }];
  return count;
}

/** All that is known of a user; in a transaction. */
export async function forgetUser(sql: Sql, tenant: Tenant, user: UserId): Promise<void> {
  await sql.all(
    `WITH mine AS (
       SELECT session_id FROM sessions WHERE tenant = $1 AND user_id = $2 ORDER BY session_id FOR UPDATE
     ) DELETE FROM sessions USING mine WHERE sessions.session_id = mine.session_id`,
    [tenant, user],
  );
  await sql.all('DELETE FROM seen_users WHERE tenant = $1 AND user_id = $2', [tenant, user]);
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

/** One of each user. */
function youngest(seen: readonly SeenUser[]): SeenUser[] {
  const byUser = new Map<UserKey, SeenUser>();
  for (const one of seen) {
    const known = byUser.get(one.user);
    if (known === undefined || one.lastSeenMs >= known.lastSeenMs) byUser.set(one.user, one);
  }
  return [...byUser.values()];
}
