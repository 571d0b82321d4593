/** A client as a stranger would write it from the protocol's text: ws and msgpackr, nothing of the server. */
import { once } from 'node:events';
import { Packr, Unpackr } from 'msgpackr';
import WebSocket from 'ws';

export interface Envelope {
  type: string;
  id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read fields of many types
  data: any;
  timestamp?: number;
}

export interface ClientOptions {
  url: string;
  token?: string;
  encoding?: 'json' | 'msgpack';
  headers?: Record<string, string>;
  /** Instead of `/ws`. */
  path?: string;
  protocols?: string[];
}

const packr = new Packr({ useRecords: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false });
/** Far more than anything takes, on two slow cores as well. */
const waitMs = 30_000;

export class TestClient {
  readonly encoding: 'json' | 'msgpack';
  readonly socket: WebSocket;
  /** Everything received, oldest first. */
  readonly received: Envelope[] = [];
  closed: { code: number; reason: string } | undefined;
  #nextId = 1;
  readonly #prefix = Math.random().toString(36).slice(2, 10);
  #listeners = new Set<() => void>();

  constructor({ url, token, encoding = 'json', headers = {}, path = '/ws', protocols }: ClientOptions) {
    this.encoding = encoding;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.socket = new WebSocket(`ws://${url}${path}`, protocols ?? [`carillon.v1.${encoding}`], {
      headers: { ...headers, ...authorization },
    });
    this.socket.on('message', (bytes: Buffer, isBinary: boolean) => {
      this.received.push((isBinary ? unpackr.unpack(bytes) : JSON.parse(bytes.toString())) as Envelope);
      this.#changed();
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#changed();
    });
    this.socket.on('error', () => this.#changed());
  }

  /** Resolves with `Status Connect`. */
  static async connect(options: ClientOptions): Promise<TestClient> {
    const client = new TestClient(options);
    await client.waitFor((envelope) => envelope.data.op === 'Connect');
    return client;
  }

  get shard(): number {
    return this.received.find((envelope) => envelope.data.op === 'Connect')?.data.shard as number;
  }

  send(envelope: object | object[]): void {
    this.sendRaw(this.encoding === 'json' ? JSON.stringify(envelope) : packr.pack(envelope));
  }

  sendRaw(bytes: string | Uint8Array): void {
    this.socket.send(bytes, { binary: typeof bytes !== 'string' });
  }

  /** Sends with an id of its own and resolves with the reply, `Status`, `Pong` or `Error`. */
  async request(type: string, data: object = {}): Promise<Envelope> {
    const id = `${this.#prefix}-${this.#nextId++}`;
    this.send({ type, id, data });
    return this.waitFor(
      (envelope) => envelope.id === id && ['Status', 'Error', 'Pong'].includes(envelope.type),
    );
  }

  /** The first envelope received, now or later, that fits. */
  async waitFor(predicate: (envelope: Envelope) => boolean): Promise<Envelope> {
    await this.until(() => this.received.some(predicate));
    return this.received.find(predicate) as Envelope;
  }

  /** Resolves when `condition` holds; rejects after half a minute, or when the connection closed before. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = AbortSignal.timeout(waitMs);
    while (!condition()) {
      if (this.closed)
        throw new Error(`closed with ${this.closed.code} ${this.closed.reason}; received ${this.#tail()}`);
      if (deadline.aborted) throw new Error(`waited in vain; received ${this.#tail()}`);
      await this.#nextChange(deadline);
    }
  }

  async closeCode(): Promise<number> {
    const deadline = AbortSignal.timeout(waitMs);
    while (this.closed === undefined) {
      if (deadline.aborted) throw new Error(`not closed; received ${this.#tail()}`);
      await this.#nextChange(deadline);
    }
    return this.closed.code;
  }

  ofType(type: string): Envelope[] {
    return this.received.filter((envelope) => envelope.type === type);
  }

  /** With 1000 for good; without a code it may be resumed. */
  async close(code?: number): Promise<void> {
    if (this.socket.readyState === WebSocket.CLOSED) return;
    this.socket.close(code);
    await once(this.socket, 'close');
  }

  #nextChange(deadline: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#listeners.delete(done);
        deadline.removeEventListener('abort', done);
        resolve();
      };
      this.#listeners.add(done);
      deadline.addEventListener('abort', done);
    });
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #tail(): string {
    return JSON.stringify(this.received.slice(-3)).slice(0, 500);
  }
}

/** One client on each shard; the hash of the peer address decides, so it takes a few tries. */
export async function clientsOnShards(options: ClientOptions, shards: number[]): Promise<TestClient[]> {
  const clients: TestClient[] = [];
  for (const shard of shards) {
    for (;;) {
      const client = await TestClient.connect(options);
      if (client.shard === shard) {
        clients.push(client);
        break;
      }
      await client.close();
    }
  }
  return clients;
}
