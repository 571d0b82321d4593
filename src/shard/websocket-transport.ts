/**
 * The connection under a session: a ws WebSocket for control frames, its socket for everything else.
 * Thread: shard. Made by upgrade.ts.
 * Data frames are complete when they come here and go to the socket directly, several in one write. ws writes its own
 * frames (pong, close) to the same socket whole and at once, as long as nothing is compressed, so the two never
 * interleave inside a frame; and it is the last to listen for the end of its socket. Should ws ever change that,
 * test/unit/shard/websocket-transport.test.ts fails.
 */
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Transport } from '../session/ports.ts';

/** So long a closing handshake, or what is still to be sent to one who has ended, may take. Milliseconds. */
export const closeTimeoutMs = 1000;

export class WebSocketTransport implements Transport {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;

  /** `socket` is the one that was upgraded: a TCP or TLS socket. */
  constructor(webSocket: WebSocket, socket: Duplex) {
    this.#webSocket = webSocket;
    this.#socket = socket;
  }

  /**
   * `listener` hears at once that the client has ended the connection; what ws does then is in `finish`, which takes longer
   * and is to be called in a while; then the socket is ended, also for one who does not read. Answers false.
   */
  onEnded(listener: (finish: () => false) => void): void {
    const socket = this.#socket;
    const onEnd = socket.listeners('end').at(-1) as () => void;
    socket.off('end', onEnd);
    socket.on('end', () =>
      listener(() => {
        if (socket.destroyed) return false;
        onEnd.call(socket);
        // With an error: what it did not read was not sent.
        const force = setTimeout(
          () => socket.destroy(new Error('the client has ended and does not read')),
          closeTimeoutMs,
        );
        socket.once('close', () => clearTimeout(force));
        return false;
      }),
    );
  }

  write(frames: Uint8Array | Uint8Array[]): boolean {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return false;
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
    if (this.#webSocket.readyState === this.#webSocket.OPEN) this.#webSocket.ping();
  }

  /** ws ends it after `closeTimeout` (upgrade.ts) when the peer does not answer, also when it does not read. */
  close(code: number, reason: string): void {
    this.#webSocket.resume(); // a paused connection would never see the peer's close frame
    this.#webSocket.close(code, reason);
  }
}
