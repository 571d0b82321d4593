/** [RES1] Who may not resume a session, and what is left of sessions that nobody resumes: nothing. */
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { SessionId, Tenant, UserId } from '#proto/names.ts';
import { userKey } from '#proto/names.ts';
import { SqliteHistoryStore } from '../../src/store/sqlite/sqlite-history-store.ts';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { bye, clientOn, connectOf, homedAt, lose, ok, resume } from '../kit/resuming.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, testSecret, tokenOf } from '../kit/test-server.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'carillon-refused-'));
let server: TestServer;
let brief: TestServer;
let reader: SqliteHistoryStore;
before(async () => {
  server = await startTestServer({
    DATA_DIR: dataDir,
    JWT_SECRET: testSecret,
    API_KEYS: 'an-api-key-of-the-tests',
  });
  // Long enough to be looked at on a busy machine before it is over.
  brief = await startTestServer({ SESSION_TTL: '5s' });
  reader = new SqliteHistoryStore(dataDir, { readOnly: true });
});
after(async () => {
  await reader.close();
  await server.stop();
  await brief.stop();
});

/** The store knows of the session. */
async function written(client: TestClient): Promise<void> {
  const { sessionId, userId } = connectOf(client);
  const user = userKey('default' as Tenant, userId as UserId);
  await eventually('the session is in the store', () =>
    reader.kept({ session: sessionId as SessionId, user, nowMs: Date.now() }),
  );
}

async function refused(client: TestClient, former: TestClient, code = 'resume_failed'): Promise<void> {
  const { type, data } = await resume(client, former);
  assert.deepEqual([type, data.code, data.retryable], ['Error', code, false], JSON.stringify(data));
}

for (const home of [0, 1]) {
  test(`a wrong token, an unknown id, another user and another tenant are refused alike, home ${home}`, async () => {
    const user = homedAt(home, (index) => `guarded-${index}`);
    const lost = await clientOn(server.url, home, user);
    await ok(lost.request('Subscribe', { topic: 'room:guarded' }));
    await lose(server.url, lost);
    const next = await clientOn(server.url, 1 - home, user);
    const { sessionId, resumeToken } = connectOf(lost);
    const texts = new Set<string>();
    for (const [id, token] of [
      [sessionId, 'wrong'],
      [sessionId, connectOf(next).resumeToken],
      ['nobody', resumeToken],
      ["x' OR 1=1 --", resumeToken],
      [resumeToken, sessionId],
    ]) {
      const { data } = await next.request('Resume', { sessionId: id, resumeToken: token });
      assert.equal(data.code, 'resume_failed');
      texts.add(data.message);
    }
    assert.equal(texts.size, 1, 'whoever guesses learns nothing');
    const other = await clientOn(
      server.url,
      home,
      homedAt(home, (index) => `other-${index}`),
    );
    await refused(other, lost);
    const abroad = await clientOn(server.url, home, user, { claims: { tenant: 'abroad' } });
    await refused(abroad, lost);
    // None of them has touched it.
    const reply = await ok(resume(next, lost));
    assert.deepEqual(reply.topics.map(({ topic }: { topic: string }) => topic).sort(), [
      `inbox:${user}`,
      'room:guarded',
    ]);
    await bye(next, other, abroad);
  });
}

test('a session is not resumed by itself, nor a second one on the same connection', async () => {
  for (const home of [0, 1]) {
    const user = homedAt(home, (index) => `greedy-${index}`);
    const [one, two] = [await clientOn(server.url, 0, user), await clientOn(server.url, 1, user)];
    await lose(server.url, one, two);
    const next = await clientOn(server.url, 1 - home, user);
    await refused(next, next);
    await ok(resume(next, one));
    await refused(next, two, 'bad_request');
    await refused(next, one, 'bad_request');
    assert.equal((await next.request('Ping')).type, 'Pong');
    const last = await clientOn(server.url, home, user);
    await ok(resume(last, two));
    await bye(next, last);
  }
});

test('a session that said goodbye with 1000 is not resumed, at once or later', async () => {
  for (const home of [0, 1]) {
    const user = homedAt(home, (index) => `gone-${index}`);
    const gone = await clientOn(server.url, 0, user);
    await ok(gone.request('Subscribe', { topic: 'room:gone' }));
    await written(gone);
    const next = await clientOn(server.url, 1, user);
    await bye(gone);
    await eventually('the goodbye was heard', async () => (await connectionsOf(user)) === 1);
    await refused(next, gone);
    await bye(next);
  }
});

test('a session that an administrator closed is not resumed, at once or later', async () => {
  for (const home of [0, 1]) {
    const user = homedAt(home, (index) => `banned-${index}`);
    const banned = await clientOn(server.url, 0, user);
    await written(banned);
    const next = await clientOn(server.url, 1, user);
    const answer = await fetch(`http://${server.url}/api/v1/sessions/${connectOf(banned).sessionId}`, {
      method: 'DELETE',
      headers: { authorization: 'Bearer an-api-key-of-the-tests' },
    });
    assert.equal(answer.status, 200);
    assert.equal(await banned.closeCode(), 4501);
    await eventually('it is gone', async () => (await connectionsOf(user)) === 1);
    await refused(next, banned);
    await bye(next);
  }
});

async function connectionsOf(user: string): Promise<number> {
  const answer = await fetch(`http://${server.url}/api/v1/sessions?user=${user}`, {
    headers: { authorization: 'Bearer an-api-key-of-the-tests' },
  });
  return ((await answer.json()) as { sessions: unknown[] }).sessions.length;
}

test('a session that was taken over twice is not resumed by the name that it had at first', async () => {
  const user = homedAt(0, (index) => `thrice-${index}`);
  const first = await clientOn(server.url, 0, user);
  await ok(first.request('Subscribe', { topic: 'room:thrice' }));
  await written(first);
  await lose(server.url, first);
  const second = await clientOn(server.url, 1, user);
  await ok(resume(second, first));
  await written(second);
  await lose(server.url, second);
  const third = await clientOn(server.url, 0, user);
  await ok(resume(third, second));
  const thief = await clientOn(server.url, 1, user);
  await refused(thief, first);
  assert.equal(third.closed, undefined);
  await bye(third, thief);
});

test('whose time is over is not resumed, whatever the store still has of it', async () => {
  const [late, next]: [TestClient[], TestClient[]] = [[], []];
  for (let round = 0; round < 4; round++) {
    const user = homedAt(round % 2, (index) => `late-${round}-${index}`);
    late.push(await clientOn(brief.url, 0, user));
    await ok(late[round]!.request('Subscribe', { topic: 'room:late' }));
    // Older than the time that its first writing waits.
    await eventually(
      'it is kept',
      async () => (await metricOf(brief.url, 'store_queries_total{query="keep"}')) > round,
    );
    next.push(await clientOn(brief.url, 1, user));
  }
  await lose(brief.url, ...late);
  await eventually('their time is over', async () => (await metricOf(brief.url, 'sessions_detached')) === 0);
  for (const [round, client] of next.entries()) await refused(client, late[round]!);
  await bye(...next);
});

test('a hundred lost sessions leave nothing behind when their time is over', async () => {
  const idle = await metricOf(brief.url, 'actors_active{actor="user"}');
  const clients = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      TestClient.connect({ url: brief.url, token: tokenOf(`lost-${index % 70}`) }),
    ),
  );
  for (const [index, client] of clients.entries()) {
    await ok(client.request('Subscribe', { topic: `room:lost:${index % 10}`, presence: true }));
    await ok(client.request('PresenceSubscribe', { users: [`lost-${(index + 1) % 70}`] }));
  }
  await lose(brief.url, ...clients.slice(0, 50));
  await lose(brief.url, ...clients.slice(50));
  const series = ['sessions_detached', 'subscriptions_active', 'actors_active{actor="session"}'];
  for (const name of series)
    await eventually(`${name} is 0`, async () => (await metricOf(brief.url, name)) === 0);
  await eventually(
    'no more users than before',
    async () => (await metricOf(brief.url, 'actors_active{actor="user"}')) <= idle,
  );
});
