/**
 * The connection under a session: a ws WebSocket for control frames, its socket for everything else.
 * Thread: shard. Made by upgrade.ts.
 * Data frames are complete when they come here and go to the socket directly, several in one write. ws writes its own
 * frames (pong, close) to the same socket whole and at once, as long as nothing is compressed, so the two never
 * interleave inside a frame; and it is the last to listen for the end of its socket. Should ws ever change that,
 * test/unit/shard/websocket-transport.test.ts fails.
 */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { CloseName } from '#proto/close-codes.ts';
import type { Runnable, SchedulePort, Transport } from '../session/ports.ts';
import type { ServedWebSocket, WebSocketOwner } from './served-websocket.ts';

/** So long a closing handshake, or what is still to be sent to one who has ended, may take. Milliseconds. */
export const closeTimeoutMs = 1000;

/** The session above a connection. */
export interface TransportUser {
  onFrame(ownedBytes: Uint8Array): void;
  onHeard(): void;
  onPong(): void;
  /** The client has ended its connection. */
  onTransportEnded(): void;
  onTransportClosed(code: number, isOrderly: boolean): void;
  close(name: CloseName): void;
}

const transportKey = Symbol('transport');
type ServedSocket = Duplex & { [transportKey]?: WebSocketTransport };

export class WebSocketTransport implements Transport, WebSocketOwner, Runnable {
  readonly #webSocket: ServedWebSocket;
  readonly #socket: ServedSocket;
  #session: TransportUser | undefined;
  #schedule: Pick<SchedulePort, 'requestSlice'> | undefined;
  #isBinary = false;
  /** What ws does when the client has ended. */
  #endOfWs: (() => void) | undefined;

  /** `socket` is the one that was upgraded: a TCP or TLS socket. */
  constructor(webSocket: ServedWebSocket, socket: Duplex) {
    this.#webSocket = webSocket;
    this.#socket = socket;
  }

  /** Called once. `isBinary`: of the frames that the client may send. */
  serve(session: TransportUser, isBinary: boolean, schedule: Pick<SchedulePort, 'requestSlice'>): void {
    this.#session = session;
    this.#isBinary = isBinary;
    this.#schedule = schedule;
    this.#webSocket.owner = this;
    const socket = this.#socket;
    socket[transportKey] = this;
    this.#endOfWs = socket.listeners('end').at(-1) as () => void;
    socket.off('end', this.#endOfWs);
    socket.on('end', onSocketEnd);
  }

  onMessage(bytes: Buffer, isBinary: boolean): void {
    if (isBinary === this.#isBinary) this.#session?.onFrame(bytes);
    else this.#session?.close('unsupported_data');
  }

  onPing(): void {
    this.#session?.onHeard();
  }

  onPong(): void {
    this.#session?.onPong();
  }

  onClosed(code: number): void {
    const { readableEnded, errored } = this.#socket;
    this.#session?.onTransportClosed(code, readableEnded && errored === null);
  }

  /** The session hears at once that the client has ended; what ws does then takes longer, and waits for its turn. */
  onSocketEnded(): void {
    this.#session?.onTransportEnded();
    this.#schedule?.requestSlice(this);
  }

  get row(): 'deferred' {
    return 'deferred';
  }

  /** Called by the duty cycle when the client has ended: then the socket is ended, also for one who does not read. */
  runSlice(): boolean {
    const socket = this.#socket;
    if (socket.destroyed) return false;
    this.#endOfWs?.call(socket);
    // With an error: what it did not read was not sent.
    const force = setTimeout(
      () => socket.destroy(new Error('the client has ended and does not read')),
      closeTimeoutMs,
    );
    socket.once('close', () => clearTimeout(force));
    return false;
  }

  write(frames: Uint8Array | Uint8Array[]): boolean {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return false;
    if (!Array.isArray(frames)) {
      this.#socket.write(frames);
      return true;
    }
    this.#socket.cork();
    for (const frame of frames) this.#socket.write(frame);
    this.#socket.uncork();
    return true;
  }

  bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  pauseReading(): void {
    this.#webSocket.pause();
  }

  resumeReading(): void {
    this.#webSocket.resume();
  }

  ping(): void {
    if (this.#webSocket.readyState === WebSocket.OPEN) this.#webSocket.ping();
  }

  /** ws ends it after `closeTimeout` (upgrade.ts) when the peer does not answer, also when it does not read. */
  close(code: number, reason: string): void {
    this.#webSocket.resume(); // a paused connection would never see the peer's close frame
    this.#webSocket.close(code, reason);
  }
}

/** One function for all sockets, which keeps nothing of them alive. */
function onSocketEnd(this: ServedSocket): void {
  this[transportKey]?.onSocketEnded();
}
