/**
 * A WebSocket client that costs little: handshake by hand, frames counted by their headers, payloads mostly unread.
 * Thread: a process of the load generator. All clients of a process read into one buffer.
 */
import { connect, type Socket } from 'node:net';
import { constants, inflateRawSync } from 'node:zlib';

export interface RawOptions {
  port: number;
  path: string;
  headers?: Record<string, string>;
  /** Another loopback address of this machine, where one has not enough ports. */
  localAddress?: string;
  /** From the first frame on, which may come with the upgrade. */
  onPayload?: (borrowedPayload: Buffer) => void;
}

export const opcodeText = 0x1;
export const opcodeBinary = 0x2;
const opcodeClose = 0x8;
const opcodePing = 0x9;
const compressedBit = 0x40;
/** What a compressed message ends with, and is not sent (RFC 7692, 7.2.2). */
const deflateTail = Buffer.from([0, 0, 0xff, 0xff]);
/** Status 1000. */
const normalClosure = Buffer.from([0x03, 0xe8]);
const pong = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
const nothing = Buffer.alloc(0);
/** Read by one socket at a time: its callback is done with it when it returns. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

/** One masked frame; the mask is zero, which servers must take and which costs nothing here. */
export function maskedFrame(content: string | Uint8Array, opcode = opcodeText): Buffer {
  const payload = Buffer.from(content as string);
  const header = Buffer.alloc(payload.length < 126 ? 6 : 8);
  header[0] = 0x80 | opcode;
  header[1] = 0x80 | Math.min(payload.length, 126);
  if (payload.length >= 126) header.writeUInt16BE(payload.length, 2);
  return Buffer.concat([header, payload]);
}

export class RawWebSocket {
  /** Data frames that arrived whole, and the bytes in them. */
  frameCount = 0;
  payloadByteCount = 0;
  /** How often there was something to read. */
  readCount = 0;
  /** The server or the network ended it. */
  isClosed = false;
  /** Called once, when `isClosed` becomes true after the upgrade. */
  onClosed: (() => void) | undefined;
  /** Called with each payload while set, inflated, borrowed until it returns; unset, payloads are skipped as they are. */
  onPayload: ((borrowedPayload: Buffer) => void) | undefined;
  /** Called after every read in which frames arrived. */
  onFrames: (() => void) | undefined;
  readonly #socket: Socket;
  /** Resolves the upgrade; unset once it is done. */
  #onUpgrade: ((outcome: Error | undefined) => void) | undefined;
  /** Bytes of a header, or of a frame that somebody reads, that has not arrived whole. */
  #rest: Buffer = nothing;
  /** Payload bytes of the current frame still to be skipped. */
  #skip = 0;
  #queued: Buffer[] = [];

  private constructor({ port, path, headers = {}, localAddress, onPayload }: RawOptions) {
    this.onPayload = onPayload;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      onread: {
        buffer: readBuffer,
        callback: (byteCount) => {
          this.#onRead(readBuffer.subarray(0, byteCount));
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#onEnd(error));
    this.#socket.on('close', () => this.#onEnd(new Error('closed during the upgrade')));
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${lines.join('')}\r\n`,
    );
  }

  /** Resolves after the upgrade. */
  static async open(options: RawOptions): Promise<RawWebSocket> {
    const webSocket = new RawWebSocket(options);
    await new Promise<void>((resolve, reject) => {
      webSocket.#onUpgrade = (error) => (error === undefined ? resolve() : reject(error));
    });
    return webSocket;
  }

  send(frame: Buffer): void {
    this.#socket.write(frame);
  }

  /** Says goodbye; the server answers and ends the connection. */
  goodbye(): void {
    this.#socket.write(maskedFrame(normalClosure, opcodeClose));
  }

  /** As a network would end it. */
  cut(): void {
    this.#socket.destroy();
  }

  /** For `flush`: what is due at once leaves in one write. True when it is the first. */
  queue(frame: Buffer): boolean {
    return this.#queued.push(frame) === 1;
  }

  flush(): void {
    this.#socket.write(this.#queued.length === 1 ? (this.#queued[0] as Buffer) : Buffer.concat(this.#queued));
    this.#queued = [];
  }

  /** Resolves with the next payload that `accepts` takes. */
  next(accepts: (payload: string) => boolean): Promise<string> {
    return new Promise((resolve) => {
      const previous = this.onPayload;
      this.onPayload = (payload) => {
        const text = payload.toString('latin1');
        if (!accepts(text)) return previous?.(payload);
        this.onPayload = previous;
        resolve(text);
      };
    });
  }

  #onEnd(error: Error): void {
    if (this.isClosed) return;
    this.isClosed = true;
    if (this.#onUpgrade !== undefined) this.#onUpgrade(error);
    else this.onClosed?.();
  }

  #onRead(bytes: Buffer): void {
    this.readCount++;
    if (this.#onUpgrade !== undefined) return this.#readHead(bytes);
    const before = this.frameCount;
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, bytes]) : bytes;
    const at = this.#readFrames(data, this.#skipped(data));
    this.#rest = at < data.length ? Buffer.from(data.subarray(at)) : nothing;
    if (this.frameCount > before) this.onFrames?.();
  }

  #readHead(bytes: Buffer): void {
    const head = Buffer.concat([this.#rest, bytes]);
    const end = head.indexOf('\r\n\r\n');
    this.#rest = head;
    if (end < 0) return;
    const status = head.toString('latin1', 0, head.indexOf('\r\n'));
    const resolve = this.#onUpgrade;
    this.#onUpgrade = undefined;
    this.#rest = nothing;
    if (!status.startsWith('HTTP/1.1 101')) return resolve?.(new Error(`refused: ${status}`));
    // Not before whoever awaits the upgrade can listen.
    const first = head.subarray(end + 4);
    resolve?.(undefined);
    if (first.length > 0) this.#onRead(first);
  }

  /** Where the next frame begins, after the rest of the one that is being skipped. */
  #skipped(data: Buffer): number {
    const skipped = Math.min(this.#skip, data.length);
    if (skipped > 0) {
      this.#skip -= skipped;
      if (this.#skip === 0) this.frameCount++;
    }
    return skipped;
  }

  /** Answers where it stopped: at the end, or at a frame of which more must arrive. */
  #readFrames(data: Buffer, start: number): number {
    let at = start;
    while (at + 2 <= data.length) {
      const short = (data[at + 1] as number) & 0x7f;
      const headerBytes = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (at + headerBytes > data.length) break;
      const length = short < 126 ? short : lengthOf(data, at + 2, short);
      const [payloadAt, opcode] = [at + headerBytes, (data[at] as number) & 0x0f];
      const end = payloadAt + length;
      const isData = opcode <= opcodeBinary;
      if (end > data.length) {
        if (!isData || this.onPayload !== undefined) break;
        this.payloadByteCount += length;
        this.#skip = end - data.length;
        return data.length;
      }
      if (isData) {
        this.frameCount++;
        this.payloadByteCount += length;
        const isCompressed = ((data[at] as number) & compressedBit) !== 0;
        if (this.onPayload !== undefined) this.onPayload(read(data.subarray(payloadAt, end), isCompressed));
      } else if (opcode === opcodePing) this.#socket.write(pong);
      at = end;
    }
    return at;
  }
}

function lengthOf(data: Buffer, at: number, short: number): number {
  return short === 126 ? data.readUInt16BE(at) : Number(data.readBigUInt64BE(at));
}

function read(payload: Buffer, isCompressed: boolean): Buffer {
  if (!isCompressed) return payload;
  return inflateRawSync(Buffer.concat([payload, deflateTail]), { finishFlush: constants.Z_SYNC_FLUSH });
}
