/**
 * The clients of one process: opened, counted, some of them read for latency.
 * Latency is counted from the time at which a message was due, not from when it was sent (coordinated omission).
 */
import { createHistogram, type EventLoopUtilization } from 'node:perf_hooks';
import { atOnce } from './at-once.ts';
import { type Dialect, dialectOf } from './dialects.ts';
import { jsonLikeText } from './json-like-text.ts';
import { monotonicMicroseconds } from './monotonic.ts';
import type { Audience, ReceiveReport } from './orders.ts';
import type { RawWebSocket } from './raw-websocket.ts';

const openAtOnce = 50;
const dueMark = Buffer.from('due=');
const dueDigits = 15;

/** A message's text: when it was due, filled up to its size. */
export function textDue(dueMicroseconds: number, payloadBytes: number, filler = 'x'): string {
  return `due=${Math.round(dueMicroseconds).toString().padStart(dueDigits, '0')}`.padEnd(
    payloadBytes,
    filler,
  );
}

/** When each message in it was due; a payload holds several where the server joins them. */
export function* duesIn(payload: Buffer): Generator<number> {
  for (let at = payload.indexOf(dueMark); at >= 0; at = payload.indexOf(dueMark, at + dueDigits)) {
    const start = at + dueMark.length;
    yield Number(payload.toString('latin1', start, start + dueDigits));
  }
}

export class Clients {
  readonly all: RawWebSocket[] = [];
  readonly audience: Audience;
  #before: number[] = [];
  #readsBefore = 0;
  #bytesBefore = 0;
  #loopBefore: EventLoopUtilization = performance.eventLoopUtilization();
  readonly #latencyMicroseconds = createHistogram();

  private constructor(audience: Audience) {
    this.audience = audience;
  }

  static async open(audience: Audience): Promise<Clients> {
    const clients = new Clients(audience);
    await atOnce(openAtOnce, audience.targetsOf.length, async (index) => {
      clients.all[index] = await clients.#openOne(index);
    });
    const { readerCount } = audience;
    const readers = Math.min(readerCount, clients.all.length);
    for (let reader = 0; reader < readers; reader++) {
      const client = clients.all[Math.floor((reader * clients.all.length) / readers)] as RawWebSocket;
      client.onPayload = (payload) => clients.#recordLatency(payload);
    }
    clients.mark();
    return clients;
  }

  dialectFor(index: number): Dialect {
    const { server, encodings } = this.audience;
    return dialectOf(server, encodings[index % encodings.length]);
  }

  /** The text of a message that was due then. */
  textDue(dueMicroseconds: number): string {
    const { payloadBytes, isLikeJson } = this.audience;
    if (!isLikeJson) return textDue(dueMicroseconds, payloadBytes);
    return textDue(dueMicroseconds, payloadBytes, jsonLikeText(Math.round(dueMicroseconds), payloadBytes));
  }

  nameOf(target: number): string {
    return this.audience.kind === 'topics' ? `bench:${target}` : `user-${target}`;
  }

  mark(): void {
    this.#before = this.all.map((client) => this.#countOf(client));
    this.#readsBefore = this.#reads();
    this.#bytesBefore = this.#bytes();
    this.#latencyMicroseconds.reset();
    this.#loopBefore = performance.eventLoopUtilization();
  }

  delivered(): number {
    return this.all.reduce((sum, client, index) => sum + this.#deliveredTo(client, index), 0);
  }

  closedCount(): number {
    return this.all.filter((client) => client.isClosed).length;
  }

  expectedOf(publishedTo: number[]): number {
    return this.all.reduce((sum, _, index) => sum + this.#expectedBy(index, publishedTo), 0);
  }

  report(publishedTo: number[]): ReceiveReport {
    return {
      delivered: this.delivered(),
      expected: this.expectedOf(publishedTo),
      wrongClientCount: this.all.filter(
        (client, index) => this.#deliveredTo(client, index) !== this.#expectedBy(index, publishedTo),
      ).length,
      closedClientCount: this.closedCount(),
      readCount: this.#reads() - this.#readsBefore,
      payloadByteCount: this.#bytes() - this.#bytesBefore,
      p50Ms: this.#latencyMicroseconds.percentile(50) / 1000,
      p99Ms: this.#latencyMicroseconds.percentile(99) / 1000,
      busyShare: performance.eventLoopUtilization(this.#loopBefore).utilization,
    };
  }

  async #openOne(index: number): Promise<RawWebSocket> {
    const { port, tokens, kind, targetsOf, offersDeflate = false } = this.audience;
    const dialect = this.dialectFor(index);
    const token = tokens[index % tokens.length] as string;
    const client = await dialect.open({ port, token, offersDeflate });
    for (const target of targetsOf[index] as number[]) {
      const name = this.nameOf(target);
      await (kind === 'topics' ? dialect.subscribe(client, name) : dialect.joinAs(client, name));
    }
    return client;
  }

  /** Messages so far, with whatever came while connecting. */
  #countOf(client: RawWebSocket): number {
    const { server, payloadBytes } = this.audience;
    const messageBytes = dialectOf(server).messageBytes?.(this.nameOf(0), payloadBytes);
    return messageBytes === undefined
      ? client.frameCount
      : Math.floor(client.payloadByteCount / messageBytes);
  }

  #deliveredTo(client: RawWebSocket, index: number): number {
    return this.#countOf(client) - (this.#before[index] as number);
  }

  #expectedBy(index: number, publishedTo: number[]): number {
    return (this.audience.targetsOf[index] as number[]).reduce(
      (sum, target) => sum + (publishedTo[target] ?? 0),
      0,
    );
  }

  #bytes(): number {
    return this.all.reduce((sum, client) => sum + client.payloadByteCount, 0);
  }

  #reads(): number {
    return this.all.reduce((sum, client) => sum + client.readCount, 0);
  }

  #recordLatency(payload: Buffer): void {
    const nowMicroseconds = monotonicMicroseconds();
    for (const due of duesIn(payload))
      this.#latencyMicroseconds.record(Math.max(1, Math.round(nowMicroseconds - due)));
  }
}
