/**
 * Load on durable topics and inboxes that outlives whatever happens to the server: readers and writers of
 * several topics, senders and receivers of direct messages, one record of all of it. Seeded (what is done, not
 * when), bounded by a window per client and by its time: it stops by itself. Loopback only.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from '#kit/random.ts';
import { type ClientPlan, DurableClient } from './durable-client.ts';
import { DurableRecord } from './durable-record.ts';
import { type Rows, readRows, type StorePlace } from './durable-rows.ts';
import { eventually } from './eventually.ts';

export interface CrowdOptions {
  seed: number;
  /** Where the server is. */
  url: () => string;
  topics: readonly string[];
  /** Users who send direct messages to as many others. */
  senderCount: number;
  /** Who publishes to and reads topics. */
  clientCount: number;
  perTick: number;
  cutChance?: number;
  /** It ends by then, whatever its test does. */
  lifeMs: number;
}

const tickMs = 25;

export class DurableCrowd {
  readonly record = new DurableRecord();
  readonly clients: DurableClient[];
  #mayPublish = true;
  readonly #onTick: (() => void)[] = [];
  readonly #ticker: NodeJS.Timeout;
  readonly #end: NodeJS.Timeout;

  constructor(options: CrowdOptions) {
    const random = seededRandom(options.seed);
    const world = { url: options.url, record: this.record };
    this.clients = plansOf(options, random).map(
      (plan, index) => new DurableClient(plan, { ...world, random: seededRandom(options.seed + index + 1) }),
    );
    for (const client of this.clients) client.start();
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    this.#end = setTimeout(() => {
      this.record.fault('crowd', 'its time is over');
      void this.stop();
    }, options.lifeMs);
  }

  /** Sent and not answered. */
  get unackedCount(): number {
    return this.clients.reduce((sum, { publishing }) => sum + publishing.unackedCount, 0);
  }

  async moreAcked(count: number): Promise<void> {
    const before = this.record.ackCount;
    await eventually(`${count} more acks`, () => this.record.ackCount >= before + count || this.#isOver);
  }

  /** Publishes nothing until `goOn`; resolves when nothing is under way. */
  async pause(): Promise<void> {
    this.#mayPublish = false;
    await eventually('everything is acked', () => this.unackedCount === 0 || this.#isOver);
  }

  goOn(): void {
    this.#mayPublish = true;
  }

  /** Resolves when messages are under way, at a moment that `random` chooses. */
  async busyMoment(random: Random): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      await this.#nextTick();
      await sleep(random.next() * 8);
      if (this.unackedCount > 0) return;
    }
  }

  /**
   * Publishes no more, until everything sent is acked and everything stored is with its readers; then answers what the
   * store has. What never comes is not waited for for long: the checker says what it was.
   */
  async drained(place: StorePlace): Promise<Rows> {
    this.#mayPublish = false;
    const isQuiet = () =>
      this.clients.every(({ isLive, publishing }) => isLive && publishing.unackedCount === 0) || this.#isOver;
    await eventually('everything is acked', isQuiet).catch((error: Error) => {
      for (const { plan, isLive, publishing, waitingCount } of this.clients) {
        const state = `${isLive ? 'live' : 'away'}, ${publishing.unackedCount} unacked, ${waitingCount} replies owed`;
        if (!isLive || publishing.unackedCount > 0) this.record.fault(plan.name, state);
      }
      this.record.fault('crowd', error.message);
    });
    const rows = await readRows(place);
    await eventually('everything is with its readers', () => this.#isBehind(rows) === undefined).catch(() =>
      this.record.fault('crowd', `in the end ${this.#isBehind(rows)}`),
    );
    await sleep(200); // what comes twice, comes now
    return rows;
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    clearTimeout(this.#end);
    this.#mayPublish = false;
    await Promise.all(this.clients.map((client) => client.stop()));
  }

  #tick(): void {
    for (const client of this.clients) client.tick(this.#mayPublish);
    for (const onTick of this.#onTick.splice(0)) onTick();
  }

  #nextTick(): Promise<void> {
    return new Promise((resolve) => this.#onTick.push(resolve));
  }

  get #isOver(): boolean {
    return this.record.faults.some((fault) => fault.startsWith('crowd: its time'));
  }

  /** Who lacks what, in words. */
  #isBehind({ topics }: Rows): string | undefined {
    for (const { plan, topics: reading, inbox } of this.clients) {
      for (const { topic, lastOffset } of topics) {
        const position = reading.positionIn(topic) ?? inbox.positionIn(topic);
        if (position !== undefined && position < lastOffset)
          return `${plan.name} is at ${position} of ${lastOffset} in ${topic}`;
      }
    }
    return undefined;
  }
}

function plansOf({ topics, clientCount, senderCount, perTick, cutChance = 0 }: CrowdOptions, random: Random) {
  const plans: ClientPlan[] = [];
  const encodingOf = (index: number) => (index % 2 === 0 ? 'json' : 'msgpack');
  const none = { reads: [], writes: [], mails: [], readsInbox: false, perTick: 0, cutChance };
  for (let index = 0; index < clientCount; index++) {
    const some = () => [...topics].sort(() => random.next() - 0.5).slice(0, Math.ceil(topics.length / 2));
    plans.push({
      ...{ ...none, name: `client${index}`, user: `client${index}`, encoding: encodingOf(index) },
      ...{ reads: some(), writes: some(), perTick },
    });
  }
  const receivers = Array.from({ length: senderCount }, (_, index) => `receiver${index}`);
  for (let index = 0; index < senderCount; index++) {
    const sender = {
      ...none,
      name: `sender${index}`,
      user: `sender${index}`,
      encoding: encodingOf(index),
    } as const;
    plans.push({ ...sender, mails: receivers, perTick });
    // What the first one sends arrives on the second, which was not asked.
    plans.push({ ...sender, name: `sender${index}-too`, readsInbox: true });
    plans.push({
      ...{ ...none, name: `receiver${index}`, user: `receiver${index}`, encoding: encodingOf(index + 1) },
      readsInbox: true,
    });
  }
  return plans;
}
