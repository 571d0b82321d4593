/**
 * Clients that lose their connections and take their sessions over again, and publishers that do not stop meanwhile.
 * Each client judges what it gets: of each topic every offset, once, in order, over all of its connections. Loopback only; it
 * ends with `stop`.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '#kit/random.ts';
import { connectOf, type Position, type Positions } from './resuming.ts';
import { type Envelope, TestClient } from './test-client.ts';
import { tokenOf } from './test-server.ts';

export type Status = 'online' | 'busy' | 'away';

/** One user with one device, over many connections. */
export class ResumingClient {
  readonly user: string;
  readonly topics: readonly string[];
  /** What it would be wrong to have: a hole, a double, a lost subscription. Each with what the client knew. */
  readonly faults: string[] = [];
  readonly positions: Positions = {};
  status: Status = 'online';
  resumeCount = 0;
  isStable = false;
  /** Topics that did not come back by themselves after a home had died; it subscribed them again. */
  missingCount = 0;
  /** A home may have died: a subscription that ended just before a cut is missing, and nobody could tell. */
  mayMiss = false;
  /** The latest name was not written yet when its home died; the name before it was known. */
  byNameBeforeCount = 0;
  /** The connection whose session the last one took over. */
  #before: TestClient | undefined;
  #connection: TestClient | undefined;
  readonly #url: string;
  readonly #random: Random;
  #isOver = false;
  readonly #ended = new Set<string>();
  #seenCount = 0;

  constructor(url: string, user: string, topics: readonly string[], random: Random) {
    this.#url = url;
    this.user = user;
    this.topics = topics;
    this.#random = random;
  }

  async start(): Promise<void> {
    const connection = await this.#connect();
    for (const topic of this.topics) {
      const { type, data } = await connection.request('Subscribe', { topic });
      assert.equal(type, 'Status', JSON.stringify(data));
      this.positions[topic] = { offset: data.offset, epoch: data.epoch };
    }
    this.#live(connection);
  }

  /** Loses its connection, without a word, perhaps in the midst of coming back; it comes back by itself. */
  cut(): void {
    this.#connection?.socket.terminate();
  }

  async setStatus(status: Status): Promise<void> {
    if (!this.isStable) return;
    const reply = await this.#connection?.request('Presence', { status }).catch(() => undefined);
    if (reply?.type === 'Status') this.status = status;
  }

  stop(): void {
    this.#isOver = true;
    this.#connection?.socket.terminate();
  }

  async #connect(): Promise<TestClient> {
    for (;;) {
      const encoding = this.#random.next() < 0.5 ? 'json' : 'msgpack';
      const options = { url: this.#url, token: tokenOf(this.user), encoding } as const;
      const connection = await TestClient.connect(options).catch(() => undefined);
      if (connection !== undefined) return connection;
      if (this.#isOver) throw new Error('stopped');
      await sleep(50 + this.#random.next() * 100);
    }
  }

  /** From now on what comes is judged, and a loss is answered by coming back. */
  #live(connection: TestClient): void {
    this.#connection = connection;
    this.isStable = true;
    const onMessage = () => this.#judge(connection);
    onMessage();
    connection.socket.on('message', onMessage);
    connection.socket.on('close', () => {
      this.#judge(connection);
      this.isStable = false;
      if (!this.#isOver) void this.#comeBack(connection);
    });
    if (connection.closed !== undefined && !this.#isOver) {
      this.isStable = false;
      void this.#comeBack(connection);
    }
  }

  async #comeBack(latest: TestClient): Promise<void> {
    let former = latest;
    while (!this.#isOver) {
      await sleep(this.#random.next() * 200);
      const next = await this.#connect().catch(() => undefined);
      if (next === undefined) return;
      this.#seenCount = 0;
      this.#connection = next;
      const { sessionId, resumeToken } = connectOf(former);
      const positions = this.positions;
      const reply = await next
        .request('Resume', { sessionId, resumeToken, positions })
        .catch(() => undefined);
      if (reply?.type === 'Status') {
        this.resumeCount++;
        if (former !== latest) this.byNameBeforeCount++;
        this.#before = former;
        this.#live(next);
        return this.#expectAll(reply.data.topics as (Position & { topic: string; recovered: boolean })[]);
      }
      // A home that dies knows of the last second what nobody else does: then the name before is the known one.
      if (reply?.data.code === 'resume_failed' && former === latest && this.mayMiss && this.#before) {
        former = this.#before;
        this.#judge(next);
        next.socket.terminate();
        continue;
      }
      if (reply?.data.code === 'resume_failed') {
        this.faults.push(`${this.user}: resume_failed after ${this.resumeCount} resumes`);
        return this.stop();
      }
      // Cut off once more before the answer: whoever took it over goes by the former name as well.
      this.#judge(next);
      next.socket.terminate();
    }
  }

  #expectAll(back: readonly (Position & { topic: string; recovered: boolean })[]): void {
    for (const topic of this.topics) {
      const entry = back.find((candidate) => candidate.topic === topic);
      if (entry === undefined && (this.mayMiss || this.#ended.has(topic))) {
        this.missingCount++;
        void this.#subscribeAgain(topic);
      } else if (entry?.recovered !== true)
        this.faults.push(`${this.user} ${topic}: not back: ${JSON.stringify(entry)}`);
    }
  }

  #judge({ received }: TestClient): void {
    for (; this.#seenCount < received.length; this.#seenCount++) {
      const { type, data } = received[this.#seenCount] as Envelope;
      if (data.op === 'Subscription') this.#ended.add(data.topic);
      if (data.op === 'Subscription') void this.#subscribeAgain(data.topic as string);
      if (type !== 'Broadcast' || data.offset === undefined) continue;
      const position = this.positions[data.topic]!;
      if (data.offset !== position.offset + 1)
        this.faults.push(`${this.user} ${data.topic}: ${data.offset} after ${position.offset}`);
      position.offset = data.offset;
    }
  }

  /** The home of a topic died under a connection that lives: the protocol's way of saying that there may be a hole. */
  async #subscribeAgain(topic: string): Promise<void> {
    const connection = this.#connection;
    while (connection !== undefined && connection.closed === undefined) {
      const since = { ...this.positions[topic]! };
      const reply = await connection.request('Subscribe', { topic, since }).catch(() => undefined);
      if (reply === undefined) return;
      if (reply.type === 'Status' || reply.data.code === 'already_subscribed')
        return void this.#ended.delete(topic);
      await sleep(100);
    }
  }
}

/** One that publishes until it is told to stop; each message again, under its key, until it is acked. */
export class StubbornPublisher {
  readonly #url: string;
  readonly #name: string;
  readonly #topics: readonly string[];
  #isOver = false;
  #running: Promise<void> | undefined;
  /** Acked, by topic. */
  readonly acked = new Map<string, number>();
  /** Of the youngest message. */
  readonly lastOffset = new Map<string, number>();

  constructor(url: string, name: string, topics: readonly string[]) {
    this.#url = url;
    this.#name = name;
    this.#topics = topics;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    let connection: TestClient | undefined;
    for (let number = 1; !this.#isOver; number++) {
      const topic = this.#topics[number % this.#topics.length]!;
      for (let isAcked = false; !isAcked; ) {
        if (connection === undefined || connection.closed !== undefined) connection = await this.#connect();
        const data = { topic, payload: number, key: `${this.#name}-${number}` };
        const reply = await connection.request('Broadcast', data).catch(() => undefined);
        isAcked = reply?.type === 'Status';
        if (isAcked) this.#count(topic, reply!.data.offset as number);
        else await sleep(50);
      }
      await sleep(15);
    }
    connection?.socket.terminate();
  }

  #count(topic: string, offset: number): void {
    this.acked.set(topic, (this.acked.get(topic) ?? 0) + 1);
    this.lastOffset.set(topic, Math.max(offset, this.lastOffset.get(topic) ?? 0));
  }

  async #connect(): Promise<TestClient> {
    for (;;) {
      const options = { url: this.#url, token: tokenOf(this.#name) };
      const connection = await TestClient.connect(options).catch(() => undefined);
      if (connection !== undefined) return connection;
      await sleep(50);
    }
  }
}
