/**
 * A WebSocket client that costs little: handshake by hand, frames counted by their headers, payloads mostly unread.
 * Thread: a process of the load generator.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawOptions {
  port: number;
  path: string;
  headers?: Record<string, string>;
}

export class RawWebSocket {
  readonly socket: Socket;
  /** Data frames received. */
  frameCount = 0;
  /** Called with each payload while set; unset, payloads are skipped. */
  onPayload: ((payload: Buffer) => void) | undefined;
  /** Bytes of a frame that has not arrived whole. */
  #rest: Buffer = Buffer.alloc(0);
  /** Payload bytes still to be skipped. */
  #skip = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Resolves after the upgrade. */
  static async open({ port, path, headers = {} }: RawOptions): Promise<RawWebSocket> {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines.join('')}\r\n`,
    );
    let head = Buffer.alloc(0);
    while (!head.includes('\r\n\r\n'))
      head = Buffer.concat([head, ((await once(socket, 'data')) as [Buffer])[0]]);
    if (!head.toString('latin1').startsWith('HTTP/1.1 101'))
      throw new Error(`refused: ${head.toString('latin1').split('\r\n')[0]}`);
    const webSocket = new RawWebSocket(socket);
    socket.on('data', (bytes) => webSocket.#onData(bytes));
    webSocket.#onData(head.subarray(head.indexOf('\r\n\r\n') + 4));
    return webSocket;
  }

  /** A masked text frame; the mask is zero, which servers must take and which costs nothing. */
  send(text: string): void {
    const payload = Buffer.from(text);
    const header = payload.length < 126 ? Buffer.alloc(6) : Buffer.alloc(8);
    header[0] = 0x81;
    header[1] = 0x80 | Math.min(payload.length, 126);
    if (payload.length >= 126) header.writeUInt16BE(payload.length, 2);
    this.socket.write(Buffer.concat([header, payload]));
  }

  /** Resolves with the next payload that `accepts` takes. */
  next(accepts: (payload: string) => boolean): Promise<string> {
    return new Promise((resolve) => {
      const previous = this.onPayload;
      this.onPayload = (payload) => {
        const text = payload.toString();
        if (!accepts(text)) return previous?.(payload);
        this.onPayload = previous;
        resolve(text);
      };
    });
  }

  #onData(bytes: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, data.length);
      this.#skip -= skipped;
      data = data.subarray(skipped);
    }
    let at = 0;
    while (at + 2 <= data.length) {
      const short = (data[at + 1] as number) & 0x7f;
      const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (at + headerBytes > data.length) break;
      const length =
        short < 126
          ? short
          : short === 126
            ? data.readUInt16BE(at + 2)
            : Number(data.readBigUInt64BE(at + 2));
      const end = at + headerBytes + length;
      if (end > data.length && this.onPayload !== undefined) break;
      this.#onFrame((data[at] as number) & 0x0f, data, at + headerBytes, Math.min(end, data.length));
      if (end > data.length) {
        this.#skip = end - data.length;
        at = data.length;
        break;
      }
      at = end;
    }
    this.#rest = at < data.length ? Buffer.from(data.subarray(at)) : Buffer.alloc(0);
  }

  #onFrame(opcode: number, data: Buffer, start: number, end: number): void {
    if (opcode === 0x9) {
      this.socket.write(Buffer.from([0x8a, 0x80, 0, 0, 0, 0]));
      return;
    }
    if (opcode > 0x2) return;
    this.frameCount++;
    this.onPayload?.(data.subarray(start, end));
  }
}
