/** A TCP client that asks by hand and never closes its side: what it is told, and when the server is through with it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { upgrade } from './upgrade-request.ts';

/** Shorter than any timeout of the server for sockets that say nothing. */
const goneMs = 10_000;

export class HalfOpenClient {
  readonly socket: Socket;
  /** The server has ended its side. */
  readonly ended: Promise<unknown>;
  #heard = '';

  constructor(url: string) {
    const [host, port] = url.split(':') as [string, string];
    this.socket = connect({ host, port: Number(port), allowHalfOpen: true });
    this.ended = once(this.socket, 'end');
    this.socket.on('error', () => {}); // a reset, when something is written to a socket that is gone
    this.socket.on('data', (bytes: Buffer) => (this.#heard += bytes.toString('latin1')));
  }

  /** Everything it was told. */
  get heard(): string {
    return this.#heard;
  }

  get status(): number {
    return Number(/^HTTP\/1\.1 (\d{3}) /.exec(this.#heard)?.[1]);
  }

  /** Whether the body is as long as the answer says. */
  get isWhole(): boolean {
    const [head = '', body = ''] = this.#heard.split('\r\n\r\n');
    return body.length === Number(/^content-length: (\d+)$/im.exec(head)?.[1]);
  }

  /** A WebSocket upgrade of `path`, with these headers on top. */
  ask(path: string, headers: Record<string, string> = {}): void {
    const lines = Object.entries({ host: 'localhost', ...upgrade, ...headers }).map(
      ([name, value]) => `${name}: ${value}\r\n`,
    );
    this.socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  }

  /**
   * Resolves when the server's side of the connection is gone for good: what is written then is answered by a reset.
   * A server that had only ended its own half would go on taking it. Rejects after ten seconds.
   */
  async gone(): Promise<void> {
    const deadline = AbortSignal.timeout(goneMs);
    const closed = new Promise((resolve, reject) => {
      this.socket.once('close', resolve);
      deadline.addEventListener('abort', () => reject(new Error('the server keeps the connection')));
    });
    const writer = setInterval(() => void this.socket.write('x'), 20);
    await closed.finally(() => clearInterval(writer));
  }
}
