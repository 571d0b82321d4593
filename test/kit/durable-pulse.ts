/**
 * A volatile topic beside the durable ones: numbers from one shard to another, whatever becomes of the store.
 * What was accepted arrives, in order, and without long silences. Loopback only; it ends with `stop`.
 */
import { clientsOnShards, type TestClient } from './test-client.ts';
import { tokenOf } from './test-server.ts';

const everyMs = 50;

export class VolatilePulse {
  /** When each one arrived. */
  readonly arrivedMs: number[] = [];
  readonly #reader: TestClient;
  readonly #writer: TestClient;
  readonly #topic: string;
  #sent = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(topic: string, reader: TestClient, writer: TestClient) {
    this.#topic = topic;
    this.#reader = reader;
    this.#writer = writer;
    reader.socket.on('message', () => this.arrivedMs.push(performance.now()));
  }

  static async start(url: string, topic: string): Promise<VolatilePulse> {
    const options = { url, token: tokenOf('pulse') };
    const [reader, writer] = (await clientsOnShards(options, [0, 1])) as [TestClient, TestClient];
    await reader.request('Subscribe', { topic });
    const pulse = new VolatilePulse(topic, reader, writer);
    pulse.#timer = setInterval(() => {
      const number = ++pulse.#sent;
      writer.send({ type: 'Broadcast', id: `${topic}-${number}`, data: { topic, payload: number } });
    }, everyMs);
    return pulse;
  }

  /** Longest time without an arrival between two moments. */
  silenceMs(fromMs: number, toMs: number): number {
    const within = this.arrivedMs.filter((atMs) => atMs >= fromMs && atMs <= toMs);
    const moments = [fromMs, ...within, toMs];
    return Math.max(...moments.slice(1).map((atMs, index) => atMs - moments[index]!));
  }

  /** Answers what was sent, accepted and delivered, once nothing is under way. */
  async stop(): Promise<{ sent: number; accepted: number; delivered: unknown[] }> {
    clearInterval(this.#timer);
    const replies = () => this.#writer.received.filter(({ id }) => id?.startsWith(this.#topic));
    await this.#writer.until(() => replies().length >= this.#sent);
    const accepted = replies().filter(({ type }) => type === 'Status').length;
    await this.#reader.until(() => this.#reader.ofType('Broadcast').length >= accepted);
    const delivered = this.#reader.ofType('Broadcast').map(({ data }) => data.payload);
    await Promise.all([this.#reader.close(), this.#writer.close()]);
    return { sent: this.#sent, accepted, delivered };
  }
}
