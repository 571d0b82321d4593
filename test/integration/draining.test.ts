/** While a server drains: its port still answers, with 503, until the last client is gone. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { seededRandom } from '#kit/random.ts';
import { RawSocket } from '../fuzz/raw-socket.ts';
import { eventually } from '../kit/eventually.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { type Answer, ask } from '../unit/accept/upgrade-request.ts';

/** A client that never answers a close frame holds the drain until it is cut off, a second later. */
async function openDeaf(t: TestContext, server: TestServer): Promise<RawSocket> {
  const deaf = new RawSocket(server.port, seededRandom(1));
  t.after(() => deaf.socket.destroy());
  await deaf.upgrade('json', tokenOf('deaf'));
  return deaf;
}

/**
 * What is deaf holds the drain for a second. Where the machine was too busy to look meanwhile, `look` finds the port closed,
 * and it is tried again.
 */
async function duringDrain(
  t: TestContext,
  settings: Record<string, string>,
  look: (server: TestServer) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const server = await startTestServer(settings);
    t.after(() => server.stop());
    await Promise.all(Array.from({ length: 8 }, () => openDeaf(t, server)));
    try {
      return await look(server);
    } catch (error) {
      const isOver = (error as NodeJS.ErrnoException).code === 'ECONNREFUSED';
      if (!isOver || attempt === 5) throw error;
    }
  }
}

test('[DRN1] while it drains /health/ready is 503 draining, upgrades are 503 with Retry-After, and health is 200', async (t) => {
  await duringDrain(t, {}, async (server) => {
    const client = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
    const ready = () => ask(server.url, '/health/ready', {});
    assert.equal((await ready()).status, 200);

    let isOver = false;
    const drained = server.drain().then(() => {
      isOver = true;
    });
    const refused = await eventually('it says that it drains', async () => {
      const answer = await ready();
      return answer.status === 503 && answer;
    });
    assert.equal((JSON.parse((refused as Answer).body) as { status: string }).status, 'draining');
    const [upgraded, health, told] = await Promise.all([
      ask(server.url, '/ws'),
      ask(server.url, '/health', {}),
      client.closeCode().then(async (code) => [code, (await ready()).status, isOver]),
    ]);
    assert.equal(upgraded.status, 503);
    assert.equal((JSON.parse(upgraded.body) as { error: { code: string } }).error.code, 'draining');
    assert.ok(Number(upgraded.headers['retry-after']) > 0);
    assert.equal(health.status, 200);
    // The clients are told, and still it answers: the others have not closed.
    assert.deepEqual(told, [4000, 503, false]);

    await drained;
    const late = await ready().catch(({ code }: NodeJS.ErrnoException) => code);
    assert.equal(late, 'ECONNREFUSED');
  });
});

test('[DRN1] every new connection is answered 503 until the port closes, on every shard, and none hangs', async (t) => {
  const server = await startTestServer({ SHARDS: '3' });
  t.after(() => server.stop());
  await openDeaf(t, server);
  const drained = server.drain();
  const outcomes = new Set<number | string>();
  let isOver = false;
  void drained.then(() => (isOver = true));
  while (!isOver) {
    // The port closes under the last of them.
    outcomes.add(
      await ask(server.url, '/ws').then(
        ({ status }) => status,
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      ),
    );
  }
  for (const code of ['ECONNREFUSED', 'ECONNRESET', 'EPIPE']) outcomes.delete(code);
  outcomes.delete(101); // before the shard has heard of it
  // Or nothing, where the machine was busy for the second that it takes.
  assert.ok(
    [...outcomes].every((outcome) => outcome === 503),
    [...outcomes].join(),
  );
});

test('a request that is on its way when the drain begins is answered', async (t) => {
  await duringDrain(t, { API_KEYS: 'an-api-key-of-the-tests' }, async (server) => {
    const body = JSON.stringify({ topic: 'a', payload: 1 });
    const headers = {
      'content-type': 'application/json',
      'content-length': String(body.length),
      authorization: 'Bearer an-api-key-of-the-tests',
    };
    const sent = request(`http://${server.url}/api/v1/publish`, { method: 'POST', headers, agent: false });
    const answered = new Promise<number | undefined>((resolve, reject) => {
      sent.on('error', reject);
      sent.on('response', ({ statusCode }) => resolve(statusCode));
    });
    answered.catch(() => {}); // looked at below, unless it is too late for it
    sent.write(body.slice(0, 5));
    const drained = server.drain();
    await eventually('it drains', async () => (await ask(server.url, '/health/ready', {})).status === 503);
    sent.end(body.slice(5));
    assert.equal(await answered, 200);
    await drained;
  });
});
