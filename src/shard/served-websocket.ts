/**
 * A ws WebSocket that tells one owner what happens to it.
 * Thread: shard. Made by ws, which upgrade.ts tells to; owned by websocket-transport.ts.
 * Listeners are a table, and a closure each. Without them, and the closures of its user's actor (src/user), a connection takes
 * 1.6 kB less of 7.1.
 */
import { WebSocket } from 'ws';

export interface WebSocketOwner {
  onMessage(bytes: Buffer, isBinary: boolean): void;
  onPing(): void;
  onPong(): void;
  onClosed(code: number): void;
}

export class ServedWebSocket extends WebSocket {
  /** Undefined: listeners are told, as of any WebSocket. */
  owner: WebSocketOwner | undefined;

  /** Called by ws. Others may still listen to 'close'. */
  override emit(event: string | symbol, first?: unknown, second?: unknown): boolean {
    if (event === 'error') return true; // broken framing: ws closes with the code of RFC 6455, 'close' follows
    const { owner } = this;
    if (owner === undefined) return super.emit(event, first, second);
    if (event === 'message') owner.onMessage(first as Buffer, second as boolean);
    else if (event === 'ping') owner.onPing();
    else if (event === 'pong') owner.onPong();
    else {
      if (event === 'close') owner.onClosed(first as number);
      super.emit(event, first, second);
    }
    return true;
  }
}
