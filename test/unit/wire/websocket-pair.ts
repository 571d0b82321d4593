/** A real ws server and client over loopback, with an eye on the server's socket: for websocket-transport.test.ts. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { ServedWebSocket } from '../../../src/shard/served-websocket.ts';
import { WebSocketTransport } from '../../../src/shard/websocket-transport.ts';

export interface Pair {
  transport: WebSocketTransport;
  /** ws's end of the connection in the server. */
  webSocket: ServedWebSocket;
  socket: Duplex;
  /** Everything given to `socket.write` so far, by whomever, in order. */
  written: Buffer[];
  client: WebSocket;
}

export interface PairServer {
  connect(): Promise<Pair>;
  /** Ends all connections, also those that a failed test left behind. */
  close(): void;
}

export async function openPairServer(): Promise<PairServer> {
  const httpServer = createServer();
  await once(httpServer.listen(0, '127.0.0.1'), 'listening');
  const { port } = httpServer.address() as AddressInfo;
  /** As upgrade.ts opens it. */
  const webSocketServer = new WebSocketServer<typeof ServedWebSocket>({
    WebSocket: ServedWebSocket,
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPendingAutoPongs: 60,
    // Longer than any test: a close that waits for this is a close that failed.
    closeTimeout: 60_000,
  });
  const ends: { socket: Duplex; client: WebSocket }[] = [];
  return {
    close() {
      for (const { socket, client } of ends) {
        client.terminate();
        socket.destroy();
      }
      httpServer.close();
    },
    async connect() {
      const upgraded = once(httpServer, 'upgrade');
      const client = new WebSocket(`ws://127.0.0.1:${port}`);
      const [request, socket, head] = (await upgraded) as Parameters<WebSocketServer['handleUpgrade']>;
      ends.push({ socket, client });
      const webSocket = await new Promise<ServedWebSocket>((resolve) => {
        webSocketServer.handleUpgrade(request, socket, head, resolve);
      });
      if (client.readyState !== WebSocket.OPEN) await once(client, 'open');
      const transport = new WebSocketTransport(webSocket, socket);
      return { transport, webSocket, socket, written: spyOn(socket), client };
    },
  };
}

/** The real `write` goes on; this only looks. */
function spyOn(socket: Duplex): Buffer[] {
  const written: Buffer[] = [];
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  socket.write = ((chunk: Buffer, ...rest: unknown[]) => {
    written.push(Buffer.from(chunk));
    return write(chunk, ...rest);
  }) as typeof socket.write;
  return written;
}
