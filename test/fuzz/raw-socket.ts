/** A WebSocket client made of bytes: says what no library would let one say, a few bytes at a time. */
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { Random } from '#kit/random.ts';

export class RawSocket {
  readonly socket: Socket;
  readonly #random: Random;
  readonly #closed: Promise<void>;
  #heard = Buffer.alloc(0);

  constructor(port: number, random: Random) {
    this.#random = random;
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.socket.on('error', () => {}); // a reset is a fair answer
    this.#closed = new Promise((resolve) => void this.socket.once('close', () => resolve()));
    this.socket.on('data', (bytes: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, bytes]).subarray(0, 4096);
    });
  }

  get isOpen(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  /** What the server has said so far, its first four kilobytes. */
  get heard(): string {
    return this.#heard.toString('latin1');
  }

  /** In pieces of one to seven bytes, each a write of its own. */
  async dribble(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length && this.isOpen; ) {
      const size = 1 + Math.floor(this.#random.next() * 7);
      this.socket.write(bytes.subarray(at, at + size));
      at += size;
      if (this.#random.next() < 0.3) await setImmediate();
    }
  }

  /** A valid upgrade; resolves when the server has agreed, or has closed. */
  async upgrade(encoding: string, token: string | undefined): Promise<void> {
    const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`;
    this.socket.write(
      'GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: carillon.v1.${encoding}\r\n${authorization}\r\n`,
    );
    while (!this.heard.includes('\r\n\r\n') && !this.socket.closed) {
      const data = new Promise((resolve) => void this.socket.once('data', resolve));
      await Promise.race([data, this.#closed]);
    }
  }

  /** Says goodbye and is heard out, or goes at once, or resets; resolves when it is gone. */
  async leave(): Promise<void> {
    const draw = this.#random.next();
    if (draw < 0.2) this.socket.resetAndDestroy();
    else if (draw < 0.4) this.socket.destroy();
    else this.socket.end();
    const impatience = setTimeout(() => this.socket.destroy(), 1000);
    await this.#closed;
    clearTimeout(impatience);
  }
}

/** A client's frame: masked, as RFC 6455 asks for. */
export function clientFrame(payload: Buffer, opcode: number, random: Random): Buffer {
  const mask = Buffer.from(Array.from({ length: 4 }, () => random.next() * 256));
  const masked = payload.map((byte, index) => byte ^ mask[index & 3]!);
  const length =
    payload.length < 126
      ? Buffer.from([0x80 | payload.length])
      : payload.length < 65_536
        ? Buffer.from([0x80 | 126, payload.length >> 8, payload.length & 0xff])
        : Buffer.from([
            0x80 | 127,
            0,
            0,
            0,
            0,
            0,
            payload.length >> 16,
            (payload.length >> 8) & 0xff,
            payload.length & 0xff,
          ]);
  return Buffer.concat([Buffer.from([0x80 | opcode]), length, mask, masked]);
}
