/** PostgreSQL that stops, is killed, stands still and cuts its connections under load: an ack stays an ack. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '#kit/random.ts';
import { withClient } from '../contract/postgres-databases.ts';
import { DurableCrowd } from '../kit/durable-crowd.ts';
import { VolatilePulse } from '../kit/durable-pulse.ts';
import type { DurableRecord } from '../kit/durable-record.ts';
import { chaosSeed, chaosTopics } from '../kit/durable-stores.ts';
import { judge, summary } from '../kit/durable-verdict.ts';
import { eventually } from '../kit/eventually.ts';
import { type Postgres, startPostgres } from '../kit/postgres.ts';
import { startTestServer } from '../kit/test-server.ts';

type FaultName = 'stopped' | 'killed' | 'stalled' | 'locked out' | 'cut';

/** Each of them so often, in an order of the seed. */
const faultCounts: Record<FaultName, number> = { stopped: 3, killed: 3, stalled: 2, 'locked out': 1, cut: 2 };
const ackedBetween = 100;
/** Two busy cores, and a database that starts beside everything else; shorter than it is locked out. */
const silenceMaxMs = 4_000;
/** From the first message that a database cannot take to the first refusal (reliability reference, section 5). */
const refusalMaxMs = 3_000;

/** Until the database works again. */
async function breakPostgres(postgres: Postgres, fault: FaultName, random: Random): Promise<void> {
  switch (fault) {
    case 'stopped':
    case 'killed':
      await (fault === 'stopped' ? postgres.stop('immediate') : postgres.kill9());
      await sleep(700 + random.next() * 800);
      return postgres.start();
    case 'stalled':
    case 'locked out': // for longer than a statement may take
      return withClient(postgres.url, async (client) => {
        await client.query('BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE');
        await sleep(fault === 'stalled' ? 1_500 + random.next() * 1_500 : 6_500);
        await client.query('ROLLBACK');
      });
    case 'cut':
      return withClient(postgres.url, async (client) => {
        for (let count = 0; count < 15; count++) {
          await client.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'carillon'`,
          );
          await sleep(200);
        }
      });
    default:
      return fault satisfies never;
  }
}

function inSomeOrder(random: Random): FaultName[] {
  return Object.entries(faultCounts)
    .flatMap(([name, count]) => Array.from({ length: count }, () => name as FaultName))
    .map((name) => ({ name, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ name }) => name);
}

/** Away for a while, from a moment on at which no commit is under way. */
async function goAway(postgres: Postgres, crowd: DurableCrowd): Promise<void> {
  const { record } = crowd;
  await crowd.pause();
  await postgres.stop('immediate');
  const told = record.notices.length;
  const refused = record.refused.length;
  const fromMs = performance.now();
  crowd.goOn();
  await eventually('somebody is refused', () => record.refused.length > refused);
  assert.ok(record.refused[refused]!.at - fromMs < refusalMaxMs, 'the first refusal takes too long');
  const notices = (event: string) =>
    new Set(record.notices.slice(told).flatMap((each) => (each.event === event ? each.connection : [])));
  const everyone = crowd.clients.map(({ connection }) => connection);
  // Who came, or went, meanwhile is not counted.
  const hear = (event: string) =>
    crowd.clients.every(
      ({ connection, isLive }) => !isLive || !everyone.includes(connection) || notices(event).has(connection),
    );
  await eventually('all are told that the store is away', () => hear('degraded'));
  await sleep(1_500);
  await postgres.start();
  await eventually('all are told that it is back', () => hear('restored'));
  assert.ok(notices('degraded').size > crowd.clients.length / 2, 'most were there and heard of it');
}

/** One connection hears of one outage after the other, and of the end of each that it lives to see. */
function assertNoticesAlternate({ notices }: DurableRecord): void {
  for (const list of Map.groupBy(notices, ({ connection }) => connection).values()) {
    const events = list.map(({ event }) => event);
    assert.ok(
      events.every((event, index) => index === 0 || event !== events[index - 1]),
      `${list[0]?.client} was told: ${events.join(', ')}`,
    );
  }
}

test('[DUR1] whatever happens to PostgreSQL under load: acked is stored and delivered, volatile topics go on, clients are told', async (t) => {
  const postgres = await startPostgres();
  t.after(() => postgres.close());
  const server = await startTestServer({ DATABASE_URL: postgres.url, LOG_LEVEL: 'info' });
  const random = seededRandom(chaosSeed);
  const pulse = await VolatilePulse.start(server.url, 'live:pulse');
  const crowd = new DurableCrowd({
    ...{ seed: chaosSeed, url: () => server.url, topics: chaosTopics },
    ...{ clientCount: 10, senderCount: 3, perTick: 0.8, cutChance: 0.003, lifeMs: 400_000 },
  });
  const { record } = crowd;
  const silencesMs: Record<string, number> = {};
  const order = inSomeOrder(random);
  let hits = 0;
  try {
    for (const fault of order) {
      await crowd.moreAcked(ackedBetween);
      await crowd.busyMoment(random);
      if (crowd.unackedCount > 0) hits++;
      const fromMs = performance.now();
      await breakPostgres(postgres, fault, random);
      const silenceMs = Math.round(pulse.silenceMs(fromMs, performance.now()));
      silencesMs[fault] = Math.max(silencesMs[fault] ?? 0, silenceMs);
    }
    await crowd.moreAcked(ackedBetween);
    await goAway(postgres, crowd);
    await crowd.moreAcked(ackedBetween);
    const rows = await crowd.drained({ databaseUrl: postgres.url });
    const { sent, accepted, delivered } = await pulse.stop();
    await crowd.stop();
    t.diagnostic(
      `seed ${chaosSeed}; ${order.join(', ')}; ${hits} with messages under way; ${summary(record)}`,
    );
    t.diagnostic(
      `volatile: ${accepted} of ${sent} accepted; longest silence, ms: ${JSON.stringify(silencesMs)}`,
    );
    judge(crowd, rows, { seed: chaosSeed, mayRefuse: true });
    assert.ok(hits >= order.length * 0.8, `seed ${chaosSeed}: only ${hits} of ${order.length} faults hit`);
    assert.deepEqual(
      delivered,
      Array.from({ length: sent }, (_, index) => index + 1),
    );
    for (const [fault, silenceMs] of Object.entries(silencesMs))
      assert.ok(
        silenceMs < silenceMaxMs,
        `volatile topics were silent for ${silenceMs} ms while it was ${fault}`,
      );
    for (const { code, message, retryAfterMs } of record.refused) {
      assert.ok(['busy', 'store_unavailable'].includes(code), `${code}: ${message}`);
      assert.ok((retryAfterMs ?? 0) > 0, `${code} without retryAfterMs: ${message}`);
    }
    assertNoticesAlternate(record);
  } finally {
    await crowd.stop();
    await pulse.stop().catch(() => {});
    await server.stop();
  }
});
