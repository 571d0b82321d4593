/** Connections cut and shards killed while publishers publish: sessions go on, without holes or doubles, and presence is the truth. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '#kit/random.ts';
import { chaosSeed, chaosTopics } from '../kit/durable-stores.ts';
import { eventually } from '../kit/eventually.ts';
import { metricOf } from '../kit/metrics.ts';
import { ResumingClient, type Status, StubbornPublisher } from '../kit/resuming-crowd.ts';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const clientCount = 300;
const topicsEach = 3;
const chaosMs = 15_000;
const kills = 3;
const statuses: Status[] = ['online', 'busy', 'away'];

test('300 sessions cut and resumed again and again, through deaths of shards: no hole, no double, true presence', async (t) => {
  const random = seededRandom(chaosSeed);
  const server = await startTestServer({ SESSION_TTL: '60s', PRESENCE_GRACE: '1s', LOG_LEVEL: 'info' });
  t.after(() => server.stop());
  const publishers = [0, 1, 2].map(
    (index) => new StubbornPublisher(server.url, `publisher-${index}`, chaosTopics),
  );
  const clients = Array.from({ length: clientCount }, (_, index) => newClient(server, index, random));
  t.after(() => {
    for (const client of clients) client.stop();
  });
  for (let first = 0; first < clientCount; first += 50)
    await Promise.all(clients.slice(first, first + 50).map((client) => client.start()));
  for (const publisher of publishers) publisher.start();

  await chaos(server, clients, random);
  await eventually('everybody is back', () =>
    clients.every(({ isStable, faults }) => isStable || faults.length > 0),
  );
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  const last = new Map(
    chaosTopics.map((topic) => [
      topic,
      Math.max(...publishers.map(({ lastOffset }) => lastOffset.get(topic) ?? 0)),
    ]),
  );
  const hasAll = ({ positions, topics }: ResumingClient) =>
    topics.every((topic) => positions[topic]!.offset >= last.get(topic)!);
  await eventually('everybody has everything', () => clients.every(hasAll)).catch(() => {});

  const resumes = clients.reduce((sum, { resumeCount }) => sum + resumeCount, 0);
  const kept = await metricOf(server.url, 'store_queries_total{query="kept"}');
  const byBefore = clients.reduce((sum, { byNameBeforeCount }) => sum + byNameBeforeCount, 0);
  t.diagnostic(
    `seed ${chaosSeed}; ${resumes} resumes, ${kept} by the store, ${byBefore} by the name before; last ${JSON.stringify([...last])}`,
  );
  const faults = clients.flatMap((client) => client.faults);
  assert.deepEqual(faults.slice(0, 10), [], `seed ${chaosSeed}: ${faults.length} faults`);
  assert.deepEqual(
    clients.filter((client) => !hasAll(client)).map(({ user }) => user),
    [],
    `seed ${chaosSeed}: behind`,
  );
  assert.ok(resumes > clientCount, `seed ${chaosSeed}: only ${resumes} resumes`);
  await presenceIsTrue(server, clients);
});

function newClient(server: TestServer, index: number, random: Random): ResumingClient {
  const first = Math.floor(random.next() * chaosTopics.length);
  const topics = Array.from(
    { length: topicsEach },
    (_, number) => chaosTopics[(first + number) % chaosTopics.length]!,
  );
  return new ResumingClient(server.url, `walker-${index}`, topics, random);
}

async function chaos(server: TestServer, clients: ResumingClient[], random: Random): Promise<void> {
  const backs = () => server.logs.filter(({ msg }) => msg === 'the shard is back').length;
  const endMs = performance.now() + chaosMs;
  let killed = 0;
  while (performance.now() < endMs) {
    const one = () => clients[Math.floor(random.next() * clients.length)]!;
    for (let count = 0; count < 8; count++) one().cut();
    await one().setStatus(statuses[Math.floor(random.next() * statuses.length)]!);
    if (
      killed < kills &&
      backs() === killed &&
      performance.now() > endMs - chaosMs * (1 - (killed + 1) / (kills + 1))
    ) {
      for (const client of clients) client.mayMiss = true;
      server.failpoint(random.next() < 0.5 ? 0 : 1, 'shard.exit');
      killed++;
    }
    await sleep(50);
  }
  await eventually('the shards are back', () => backs() === killed);
}

/** As everybody said, and nobody beside them; ten seconds are enough. */
async function presenceIsTrue(server: TestServer, clients: ResumingClient[]): Promise<void> {
  const asking = await TestClient.connect({ url: server.url, token: tokenOf('asking') });
  // What was said around a cut, and not answered, is said again: the truth is what the client knows.
  await Promise.all(clients.map((client) => client.setStatus(client.status)));
  const expected = clients.map(({ user, status }) => [user, status, 1]);
  let seen: unknown[] = [];
  await eventually('presence is the truth', async () => {
    seen = [];
    for (let first = 0; first < clients.length; first += 100) {
      const users = clients.slice(first, first + 100).map(({ user }) => user);
      const { data } = await asking.request('PresenceQuery', { users });
      for (const { user, status, devices } of data.users) seen.push([user, status, devices.length]);
    }
    return JSON.stringify(seen) === JSON.stringify(expected);
  }).catch(() => {});
  assert.deepEqual(seen, expected, `seed ${chaosSeed}`);
  asking.socket.terminate();
}
