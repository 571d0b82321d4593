/** Shards and the store's thread killed under load, between commit and ack among other moments. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '#kit/random.ts';
import { storePeer } from '#proto/names.ts';
import { DurableCrowd } from '../kit/durable-crowd.ts';
import { backends, chaosSeed, chaosTopics, openStore } from '../kit/durable-stores.ts';
import { judge, summary } from '../kit/durable-verdict.ts';
import { eventually } from '../kit/eventually.ts';
import { startTestServer, type TestServer } from '../kit/test-server.ts';

/** Each with its own budget of restarts, on the same data. */
const servers = 3;
const roundsPerServer = 5;
/** In a minute (supervise/restart-budget.ts): one more, and a server gives up. */
const restartsMax = 8;
const ackedPerRound = 120;

for (const backend of backends) {
  test(`[DUR3] shards and the store killed under load on ${backend}: what was acked is stored and delivered, once, in order`, async (t) => {
    const { place, settings } = await openStore(t, backend);
    const random = seededRandom(chaosSeed);
    let server = await startTestServer(settings);
    const crowd = new DurableCrowd({
      ...{ seed: chaosSeed, url: () => server.url, topics: chaosTopics },
      ...{ clientCount: 10, senderCount: 3, perTick: 1.5, cutChance: 0.002, lifeMs: 400_000 },
    });
    try {
      const kills = { shard: 0, store: 0, hits: 0 };
      for (let number = 1; ; number++) {
        await killThreads(server, crowd, random, kills);
        if (number === servers) break;
        await server.stop();
        server = await startTestServer(settings);
      }
      const total = kills.shard + kills.store;
      const rows = await crowd.drained(place);
      await crowd.stop();
      t.diagnostic(`seed ${chaosSeed}; ${JSON.stringify(kills)}; ${summary(crowd.record)}`);
      judge(crowd, rows, { seed: chaosSeed, mayRefuse: true });
      assert.ok(kills.hits >= total * 0.8, `seed ${chaosSeed}: only ${kills.hits} of ${total} kills hit`);
      assert.ok(
        crowd.record.duplicateCount > 0,
        `seed ${chaosSeed}: no kill was between a commit and its ack`,
      );
      assert.ok(
        crowd.record.caughtUpCount > 0,
        `seed ${chaosSeed}: no session survived the home of its inbox`,
      );
    } finally {
      await crowd.stop();
      await server.stop();
    }
  });
}

async function killThreads(
  server: TestServer,
  crowd: DurableCrowd,
  random: Random,
  kills: { shard: number; store: number; hits: number },
): Promise<void> {
  const backs = () => server.logs.filter(({ msg }) => /^the (shard|store) is back$/.test(String(msg))).length;
  let expected = 0;
  for (let round = 0; round < roundsPerServer; round++) {
    await crowd.moreAcked(ackedPerRound);
    await sleep(random.next() * 100);
    // The store with a shard, one of them alone: each fourth.
    const isStoreHit = random.next() < 0.5;
    const isSpare = restartsMax - expected > roundsPerServer - round;
    const isShardHit = !isStoreHit || (random.next() < 0.5 && isSpare);
    await crowd.busyMoment(random);
    if (crowd.unackedCount > 0) kills.hits += Number(isStoreHit) + Number(isShardHit);
    if (isShardHit) {
      server.failpoint(random.next() < 0.5 ? 0 : 1, 'shard.exit');
      kills.shard++;
      expected++;
    }
    if (isStoreHit) {
      server.failpoint(storePeer, 'store.exit');
      kills.store++;
      expected++;
    }
    await eventually('what was killed is back', () => backs() >= expected);
  }
}
