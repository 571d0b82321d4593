/**
 * A client as an application would write it against durable topics: it reconnects with backoff, sends again
 * what is not acked under the same keys, subscribes again with the last position that it has, and waits as
 * long as it is told. Everything it sends and reads goes into a record. It stops by itself with its crowd.
 */
import { Packr, Unpackr } from 'msgpackr';
import WebSocket from 'ws';
import type { Random } from '#kit/random.ts';
import { Publishing } from './durable-publishing.ts';
import { InboxReading, TopicReading } from './durable-reading.ts';
import type { DurableRecord } from './durable-record.ts';
import type { Envelope } from './test-client.ts';
import { tokenOf } from './test-server.ts';

export interface ClientPlan {
  name: string;
  user: string;
  encoding: 'json' | 'msgpack';
  /** Topics that it subscribes. */
  reads: readonly string[];
  /** Its inbox is part of the log. Not of those who send: what they sent is told by the acks. */
  readsInbox: boolean;
  /** Topics that it publishes to, and users that it writes to. */
  writes: readonly string[];
  mails: readonly string[];
  /** Publishes and direct messages per tick, on average. */
  perTick: number;
  /** Chance of cutting its own connection, per tick. */
  cutChance: number;
}

export interface ClientWorld {
  /** Where the server is; it may move, and need not be there. */
  url: () => string;
  record: DurableRecord;
  random: Random;
}

const backoffMs = { min: 40, max: 300 };
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
type OnReply = (reply: Envelope) => void;

export class DurableClient {
  readonly plan: ClientPlan;
  readonly world: ClientWorld;
  readonly publishing: Publishing;
  readonly topics: TopicReading;
  readonly inbox: InboxReading;
  #socket: WebSocket | undefined;
  #isLive = false;
  #isStopped = false;
  /** Attempts to connect since the last one that succeeded. */
  #failures = 0;
  #sent = 0;
  /** Of all connections of the crowd. */
  #connection = 0;
  #waiting = new Map<string, OnReply>();
  readonly #token: string;
  #onStopped: () => void = () => {};

  constructor(plan: ClientPlan, world: ClientWorld) {
    this.plan = plan;
    this.world = world;
    this.publishing = new Publishing(this);
    this.topics = new TopicReading(this);
    this.inbox = new InboxReading(this);
    this.#token = tokenOf(plan.user);
  }

  get isLive(): boolean {
    return this.#isLive;
  }

  get connection(): number {
    return this.#connection;
  }

  /** Replies that are owed. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  start(): void {
    const { encoding } = this.plan;
    const socket = new WebSocket(`ws://${this.world.url()}/ws`, [`carillon.v1.${encoding}`], {
      headers: { authorization: `Bearer ${this.#token}` },
      handshakeTimeout: 5_000,
    });
    this.#socket = socket;
    socket.on('message', (bytes: Buffer, isBinary: boolean) =>
      this.#onEnvelope((isBinary ? unpackr.unpack(bytes) : JSON.parse(bytes.toString())) as Envelope),
    );
    socket.on('error', () => {}); // `close` follows
    socket.on('close', (code) => this.#onClose(code));
  }

  /** One turn of the load. */
  tick(mayPublish: boolean): void {
    const { random } = this.world;
    if (!this.#isLive) return;
    // In the end a lost answer must not be healed by coming back.
    if (!mayPublish) return;
    if (random.next() < this.plan.cutChance) return this.cut();
    let count = Math.floor(this.plan.perTick + random.next());
    while (count-- > 0) this.publishing.publishNext();
  }

  /** Without goodbye. */
  cut(): void {
    this.#socket?.terminate();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onStopped = resolve;
    if (this.#socket === undefined || this.#socket.readyState === WebSocket.CLOSED) return;
    this.#socket.terminate();
    await promise;
  }

  /** Calls back with the reply, unless the connection ends before. */
  request(type: string, data: object, onReply: OnReply): void {
    const id = `${this.plan.name}:${++this.#sent}`;
    this.#waiting.set(id, onReply);
    const envelope = { type, id, data };
    if (this.plan.encoding === 'json') this.#socket!.send(JSON.stringify(envelope));
    else this.#socket!.send(packr.pack(envelope), { binary: true });
  }

  /** Calls back on this connection, or never. */
  later(waitMs: number, act: () => void): void {
    const socket = this.#socket;
    setTimeout(() => {
      if (this.#socket === socket && this.#isLive && !this.#isStopped) act();
    }, waitMs);
  }

  /** What a refusal advises, and a little more; undefined, and a fault, when it is none that passes. */
  retryAfter({ data }: Envelope, what: string): number | undefined {
    const { name } = this.plan;
    const { code, message, retryable, retryAfterMs } = data;
    this.world.record.refused.push({ client: name, at: performance.now(), code, message, retryAfterMs });
    if (retryable === true && code !== 'internal')
      return (retryAfterMs ?? 200) + this.world.random.next() * 100;
    this.world.record.fault(name, `${what} was refused: ${JSON.stringify(data)}`);
    return undefined;
  }

  #onEnvelope(envelope: Envelope): void {
    const { type, id, data } = envelope;
    const { record } = this.world;
    if (data.op === 'Connect') return this.#onConnect(data.inbox);
    if (!this.#isLive) record.fault(this.plan.name, `before Connect came ${JSON.stringify(envelope)}`);
    if (type === 'System') {
      const { name: client } = this.plan;
      record.notices.push({ client, connection: this.#connection, at: performance.now(), event: data.event });
    } else if (type === 'Broadcast') {
      this.topics.onDelivered(envelope);
    } else if (type === 'DirectMessage') {
      this.inbox.onDelivered(envelope);
    } else if (data.op === 'Subscription') {
      if (data.topic === `inbox:${this.plan.user}`) this.inbox.onHole();
      else this.topics.onEnded(data.topic, data.reason);
    } else {
      const onReply = this.#waiting.get(id as string);
      if (onReply === undefined) record.fault(this.plan.name, `unasked: ${JSON.stringify(envelope)}`);
      this.#waiting.delete(id as string);
      onReply?.(envelope);
    }
  }

  #onConnect(inbox: { offset: number; epoch: string } | undefined): void {
    const { record } = this.world;
    this.#connection = ++record.connectCount;
    record.add(this.plan.name, { kind: 'connect', tenant: 'default' });
    this.#isLive = true;
    this.#failures = 0;
    this.publishing.onConnect();
    this.topics.onConnect();
    if (this.plan.readsInbox) this.inbox.onConnect(inbox);
  }

  #onClose(code: number): void {
    const { record, random } = this.world;
    if (this.#isLive) record.add(this.plan.name, { kind: 'close' });
    this.#isLive = false;
    this.#waiting.clear();
    this.topics.onClose();
    this.inbox.onClose();
    if (code >= 4500 || (code >= 1002 && code <= 1011 && code !== 1006))
      record.fault(this.plan.name, `closed with ${code}`);
    if (this.#isStopped) return this.#onStopped();
    const wait = Math.min(backoffMs.max, backoffMs.min * 2 ** this.#failures++);
    setTimeout(
      () => {
        if (this.#isStopped) this.#onStopped();
        else this.start();
      },
      wait * (0.5 + random.next() / 2),
    );
  }
}
