/** Claims of sessions that may be taken over, and of users who were seen. */
import assert from 'node:assert/strict';
import type { SessionId, Tenant, UserId, UserKey } from '#proto/names.ts';
import { type ShardId, userKey } from '#proto/names.ts';
import {
  type HistoryStore,
  type KeptSession,
  type SeenUser,
  StoreUnavailableError,
} from '../../../src/store/history-store.ts';
import { ann, ben, bytes, type Claim, entry, startMs, tenant } from '../entries.ts';

const [annKey, benKey] = [userKey(tenant, ann), userKey(tenant, ben)];
const elsewhere = userKey('other' as Tenant, ann);
const nothing = { sessions: [], ended: [], seen: [] };
const rowsMax = 5_000;

function kept(session: string, fields: Partial<KeptSession> = {}): KeptSession {
  return {
    ...{ session: session as SessionId, tokenHash: `hash of ${session}`, former: undefined, user: annKey },
    ...{ home: 0 as ShardId, state: bytes(1), expiresAtMs: undefined },
    ...fields,
  };
}

function former(session: string): NonNullable<KeptSession['former']> {
  return { session: session as SessionId, tokenHash: `hash of ${session}` };
}

function seen(user: UserKey, lastSeenMs: number, device = 1): SeenUser {
  return { user, lastSeenMs, devices: bytes(device) };
}

function names(count: number): SessionId[] {
  return Array.from({ length: count }, (_, index) => `s-${index}` as SessionId);
}

function find(store: HistoryStore, session: string, { user = annKey, nowMs = startMs } = {}) {
  return store.kept({ session: session as SessionId, user, nowMs });
}

/** What is found under the names, by its own name. */
async function foundUnder(store: HistoryStore, sessions: readonly string[], nowMs = startMs) {
  const found = await Promise.all(sessions.map((session) => find(store, session, { nowMs })));
  return found.map((one) => one?.session);
}

async function lastSeen(store: HistoryStore, users: UserKey[]): Promise<[string, number, number][]> {
  const all = await store.seen({ users });
  return all
    .map(({ user, lastSeenMs, devices }): [string, number, number] => [user, lastSeenMs, devices[0]!])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

export function claimKeptSessions(claim: Claim): void {
  claimFinding(claim);
  claimReplacing(claim);
  claimEnds(claim);
  claimSeen(claim);
  claimMany(claim);
}

/** Of real stores: what else they hold, and what they refuse. */
export function claimKeptBesides(claim: Claim): void {
  claim('what is kept in one call is kept together or not at all', async (store) => {
    await store.keep({ ...nothing, sessions: [kept('old')] });
    const broken = seen(benKey, Number.NaN);
    const request = {
      sessions: [kept('new')],
      ended: [kept('old').session],
      seen: [seen(annKey, 5), broken],
    };
    await assert.rejects(store.keep(request), StoreUnavailableError);
    assert.deepEqual(await foundUnder(store, ['old', 'new']), ['old', undefined]);
    assert.deepEqual(await lastSeen(store, [annKey, benKey]), []);
    await store.keep({ ...request, seen: [] });
    assert.deepEqual(await foundUnder(store, ['old', 'new']), [undefined, 'new']);
  });

  claim('erasing a user takes their sessions, and when they were seen', async (store) => {
    const others = [kept('ben', { user: benKey }), kept('elsewhere', { user: elsewhere })];
    const mine = [kept('a'), kept('b', { expiresAtMs: startMs + 1, former: former('c') })];
    await store.append([entry()]);
    await store.keep({
      ...{ sessions: [...mine, ...others], ended: [] },
      seen: [seen(annKey, 1), seen(benKey, 2), seen(elsewhere, 3)],
    });
    assert.deepEqual(await store.erase({ tenant, user: ann, atMs: startMs }), { messageCount: 1 });
    assert.deepEqual(await foundUnder(store, ['a', 'b', 'c']), [undefined, undefined, undefined]);
    for (const other of others) {
      assert.deepEqual(await find(store, other.session, { user: other.user }), other);
    }
    const left = await lastSeen(store, [annKey, benKey, elsewhere]);
    assert.deepEqual(
      left.map(([user]) => user),
      [benKey, elsewhere],
    );
  });
}

function claimFinding(claim: Claim): void {
  claim('a session comes back as it was kept', async (store) => {
    const every = Uint8Array.from({ length: 256 }, (_, value) => value);
    const sessions = [
      kept('plain'),
      kept('nothing', { state: new Uint8Array(0) }),
      kept('all', { state: every, expiresAtMs: startMs + 123, former: former('before') }),
    ];
    await store.keep({ ...nothing, sessions });
    for (const session of sessions) assert.deepEqual(await find(store, session.session), session);
    assert.deepEqual(await find(store, 'before'), sessions[2]);
  });

  claim('a session is found by its own user only', async (store) => {
    await store.keep({ ...nothing, sessions: [kept('a', { former: former('b') })] });
    for (const user of [benKey, elsewhere]) {
      assert.equal(await find(store, 'a', { user }), null);
      assert.equal(await find(store, 'b', { user }), null);
    }
    for (const name of ['', 'A', 'a ', 'a\0', '%', 'hash of a']) assert.equal(await find(store, name), null);
  });

  claim(
    'the own name goes before the former one, and of those that took it over the one that lives longest',
    async (store) => {
      const at = (ms: number) => ({ former: former('first'), expiresAtMs: startMs + ms });
      const sessions = [
        ...[kept('short', at(10)), kept('long', at(30)), kept('middle', at(20))],
        kept('of-ben', { ...at(99), user: benKey }),
      ];
      await store.keep({ ...nothing, sessions });
      assert.deepEqual(await foundUnder(store, ['first']), ['long']);
      assert.deepEqual(await foundUnder(store, ['first'], startMs + 30), [undefined]);
      await store.keep({ ...nothing, sessions: [kept('connected', { former: former('first') })] });
      assert.deepEqual(await foundUnder(store, ['first']), ['connected']);
      await store.keep({ ...nothing, sessions: [kept('first', { expiresAtMs: startMs + 5 })] });
      assert.deepEqual(await foundUnder(store, ['first']), ['first']);
      assert.deepEqual(await foundUnder(store, ['first'], startMs + 5), ['connected'], 'its time is over');
    },
  );
}

function claimReplacing(claim: Claim): void {
  claim('what is kept last of a session is what is kept', async (store) => {
    const first = kept('a', { former: former('b'), expiresAtMs: startMs + 9, state: bytes(1) });
    const second = kept('a', { tokenHash: 'new', state: bytes(2), user: benKey });
    await store.keep({ ...nothing, sessions: [first] });
    await store.keep({ ...nothing, sessions: [second] });
    assert.deepEqual(await foundUnder(store, ['a', 'b']), [undefined, undefined]);
    assert.deepEqual(await find(store, 'a', { user: benKey }), second);
    await store.keep({ ...nothing, sessions: [second, kept('x'), first] });
    assert.deepEqual(await find(store, 'a'), first);
    assert.deepEqual(await find(store, 'b'), first);
  });

  claim('keeps that are asked for at once are done in their order', async (store) => {
    const keeps = Array.from({ length: 40 }, (_, state) =>
      store.keep({ ...nothing, sessions: [kept('a', { state: bytes(state) }), kept(`s-${state}`)] }),
    );
    await Promise.all([...keeps, store.keep({ ...nothing, ended: names(39) })]);
    assert.deepEqual([...(await find(store, 'a'))!.state], [39]);
    assert.deepEqual(await foundUnder(store, ['s-0', 's-38', 's-39']), [undefined, undefined, 's-39']);
  });

  claim('a session that ended is gone, also when it is kept in the same call', async (store) => {
    await store.keep({ ...nothing, sessions: [kept('a'), kept('b', { former: former('c') }), kept('d')] });
    const ended = ['a', 'b', 'never', 'a'] as SessionId[];
    await store.keep({ ...nothing, sessions: [kept('a'), kept('e', { former: former('a') })], ended });
    assert.deepEqual(await foundUnder(store, ['a', 'b', 'c', 'd', 'e']), [
      'e',
      undefined,
      undefined,
      'd',
      'e',
    ]);
    await store.keep({ ...nothing, sessions: [kept('b')] });
    assert.deepEqual(await foundUnder(store, ['b', 'c']), ['b', undefined]);
    await store.keep(nothing);
  });
}

function claimEnds(claim: Claim): void {
  claim('a session whose time is over is not found', async (store) => {
    await store.keep({ ...nothing, sessions: [kept('a', { expiresAtMs: startMs, former: former('b') })] });
    assert.deepEqual(await foundUnder(store, ['a', 'b'], startMs - 1), ['a', 'a']);
    assert.deepEqual(await foundUnder(store, ['a', 'b'], startMs), [undefined, undefined]);
    await store.keep({ ...nothing, sessions: [kept('a')] });
    assert.deepEqual(await foundUnder(store, ['a'], startMs * 9), ['a'], 'while it has a connection');
  });

  claim('sessions that had a connection are released until then, and no others', async (store) => {
    const sessions = [kept('a'), kept('b', { user: benKey }), kept('c', { expiresAtMs: startMs + 5 })];
    await store.keep({ ...nothing, sessions });
    await store.releaseSessions({ expiresAtMs: startMs + 20 });
    assert.deepEqual(await find(store, 'a'), kept('a', { expiresAtMs: startMs + 20 }));
    assert.equal((await find(store, 'b', { user: benKey }))!.expiresAtMs, startMs + 20);
    assert.equal((await find(store, 'c'))!.expiresAtMs, startMs + 5);
    await store.keep({ ...nothing, sessions: [kept('d')] });
    await store.releaseSessions({ expiresAtMs: startMs + 30 });
    assert.deepEqual(await foundUnder(store, ['a', 'c', 'd'], startMs + 20), [undefined, undefined, 'd']);
  });

  claim('a sweep takes what is over, as many as asked', async (store) => {
    const ends = [1, 2, 3, 4, 5, 9].map((ms) => startMs + ms);
    const sessions = ends.map((expiresAtMs, index) => kept(`s-${index}`, { expiresAtMs }));
    await store.keep({ ...nothing, sessions: [...sessions, kept('connected')] });
    const sweep = (limit: number) => store.sweepSessions({ nowMs: startMs + 5, limit });
    assert.deepEqual([await sweep(3), await sweep(3), await sweep(3)], [3, 2, 0]);
    const all = [...names(6), 'connected'];
    const left = [...Array.from({ length: 5 }, () => undefined), 's-5', 'connected'];
    assert.deepEqual(await foundUnder(store, all, 0), left);
    assert.equal(await store.sweepSessions({ nowMs: startMs * 9, limit: 9 }), 1);
    assert.deepEqual(await foundUnder(store, ['connected'], startMs * 9), ['connected']);
  });
}

function claimSeen(claim: Claim): void {
  claim('an older look at a user never takes the place of a younger one', async (store) => {
    await store.keep({ ...nothing, seen: [seen(annKey, 50, 1)] });
    await store.keep({ ...nothing, seen: [seen(annKey, 49, 2), seen(benKey, 7, 3)] });
    assert.deepEqual(await lastSeen(store, [annKey, benKey]), [
      [annKey, 50, 1],
      [benKey, 7, 3],
    ]);
    await store.keep({ ...nothing, seen: [60, 80, 70].map((ms) => seen(annKey, ms, ms)) });
    assert.deepEqual(await lastSeen(store, [annKey]), [[annKey, 80, 80]]);
    await store.keep({ ...nothing, seen: [seen(annKey, 80, 4), seen(annKey, 80, 5)] });
    assert.deepEqual(
      await lastSeen(store, [annKey]),
      [[annKey, 80, 5]],
      'at the same time: what is said last',
    );
  });

  claim('only users who were seen are answered, each once and in their tenant', async (store) => {
    const none = { user: benKey, lastSeenMs: startMs, devices: new Uint8Array(0) };
    await store.keep({ ...nothing, sessions: [kept('a')], seen: [none] });
    assert.deepEqual(await store.seen({ users: [annKey, benKey, benKey, elsewhere] }), [none]);
    assert.deepEqual(await store.seen({ users: [] }), []);
    await store.keep({ ...nothing, seen: [seen(elsewhere, 1)] });
    assert.deepEqual(await lastSeen(store, [annKey]), []);
  });
}

function claimMany(claim: Claim): void {
  claim('thousands are kept, replaced, found and ended in one call each', async (store) => {
    const all = names(rowsMax);
    const users = all.map((name) => userKey(tenant, name as string as UserId));
    const sessions = (state: number) =>
      all.map((name, index) => kept(name, { user: users[index]!, state: new Uint8Array(500).fill(state) }));
    await store.keep({ sessions: sessions(1), ended: [], seen: users.map((user) => seen(user, 1)) });
    const request = {
      sessions: sessions(2).reverse(),
      seen: users.map((user) => seen(user, 2, 2)).reverse(),
    };
    await store.keep({ ...request, ended: all.slice(0, rowsMax / 2) });
    const asked = [0, rowsMax / 2, rowsMax - 1];
    const found = await Promise.all(asked.map((index) => find(store, all[index]!, { user: users[index]! })));
    assert.deepEqual(
      found.map((one) => one?.state[499]),
      [undefined, 2, 2],
    );
    const someUsers = users.slice(-1_000);
    const answered = await lastSeen(store, someUsers);
    assert.deepEqual(
      answered,
      [...someUsers].sort().map((user) => [user, 2, 2]),
    );
    await store.releaseSessions({ expiresAtMs: startMs });
    assert.equal(await store.sweepSessions({ nowMs: startMs, limit: rowsMax }), rowsMax / 2);
  });
}
