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
   * and is to be called in a while. Answers false.
   */
  onEnded(listener: (finish: () => false) => void): void {
    const socket = this.#socket;
    const onEnd = socket.listeners('end').at(-1) as () => void;
    socket.off('end', onEnd);
    socket.on('end', () =>
      listener(() => {
        if (!socket.destroyed) onEnd.call(socket);
        return false;
      }),
    );
  }

  write(frames: Uint8Array | Uint8Array[]): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return;
    if (!Array.isArray(frames)) {
      this.#socket.write(frames);
      return;
    }
    this.#socket.cork();
    for (const frame of frames) this.#socket.write(frame);
    this.#socket.uncork();
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
