/** The process killed under load, again and again: nothing that was acked is lost, doubled or out of order. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '#kit/random.ts';
import { type ChildServer, startChildServer } from '../kit/child-server.ts';
import { DurableCrowd } from '../kit/durable-crowd.ts';
import { backends, chaosSeed, chaosTopics, openStore } from '../kit/durable-stores.ts';
import { judge, summary } from '../kit/durable-verdict.ts';

const kills = 30;
const ackedPerKill = 340;

/** A process that comes back on the same port. */
class Victim {
  readonly #settings: Record<string, string>;
  /** Below Linux's range for outgoing connections: nobody takes it meanwhile. */
  readonly #port = randomInt(20_000, 32_768);
  #child: ChildServer | undefined;

  constructor(settings: Record<string, string>) {
    this.#settings = settings;
  }

  get url(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#child = await startChildServer({ ...this.#settings, PORT: String(this.#port) });
  }

  async kill(): Promise<void> {
    const { process } = this.#child!;
    if (process.exitCode !== null || process.signalCode !== null) return;
    const exit = once(process, 'exit');
    process.kill('SIGKILL');
    await exit;
  }

  terminate(): Promise<number | null> {
    return this.#child!.terminate();
  }
}

for (const backend of backends) {
  test(`[DUR4] killed ${kills} times under load on ${backend}: what was acked is stored and delivered, once, in order`, async (t) => {
    const { place, settings } = await openStore(t, backend);
    const victim = new Victim(settings);
    await victim.start();
    const crowd = new DurableCrowd({
      ...{ seed: chaosSeed, url: () => victim.url, topics: chaosTopics },
      ...{ clientCount: 10, senderCount: 3, perTick: 1.5, lifeMs: 400_000 },
    });
    try {
      const hits = await killAgainAndAgain(t, victim, crowd);
      assert.ok(
        hits >= kills * 0.8,
        `seed ${chaosSeed}: only ${hits} of ${kills} kills hit unacked messages`,
      );
      const rows = await crowd.drained(place);
      await crowd.stop();
      t.diagnostic(
        `seed ${chaosSeed}; ${kills} kills, ${hits} with messages under way; ${summary(crowd.record)}`,
      );
      // Nothing is refused: what a killed process had not answered has its place before what was sent after it.
      judge(crowd, rows, { seed: chaosSeed, mayRefuse: crowd.record.refused.length > 0 });
      assert.ok(crowd.record.ackCount >= kills * ackedPerKill);
      assert.ok(crowd.record.duplicateCount > 0, 'no kill was between a commit and its ack');
      assert.equal(await victim.terminate(), 0);
    } finally {
      await crowd.stop();
      await victim.kill();
    }
  });
}

/** Answers how many kills hit messages that were under way. */
async function killAgainAndAgain(t: TestContext, victim: Victim, crowd: DurableCrowd): Promise<number> {
  const random = seededRandom(chaosSeed);
  let hits = 0;
  for (let round = 0; round < kills; round++) {
    await crowd.moreAcked(ackedPerKill);
    await sleep(random.next() * 100);
    await crowd.busyMoment(random);
    if (crowd.unackedCount > 0) hits++;
    await victim.kill();
    await victim.start();
  }
  t.diagnostic(`killed ${kills} times`);
  return hits;
}
