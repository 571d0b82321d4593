/**
 * Load of the connection scenarios, in a process of its own: opens connections, so many at a time, and holds them.
 * Takes orders by IPC and answers when all are open; ends with its parent.
 */
import { atOnce } from './at-once.ts';
import { dialectOf, type ServerName } from './dialects.ts';
import type { RawWebSocket } from './raw-websocket.ts';

export interface ConnectionOrder {
  server: ServerName;
  port: number;
  /** One for each connection; the peers ask for none. */
  tokens: string[];
  atOnce: number;
  /** An address of this machine has ports for some 28,000 connections. */
  localAddress: string;
}

export interface ConnectionReply {
  tookMs: number;
  /** Connections that the server has ended since. */
  closedCount: number;
}

const clients: RawWebSocket[] = [];

process.on('message', (order: ConnectionOrder | 'count') => {
  const done = order === 'count' ? Promise.resolve(0) : open(order);
  done.then(
    (tookMs) => process.send?.({ tookMs, closedCount: closedCount() } satisfies ConnectionReply),
    (error: Error) => {
      console.error(`bench: the load failed: ${error.message}`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => process.exit(0));

async function open(order: ConnectionOrder): Promise<number> {
  const { server, port, tokens, localAddress } = order;
  const startedMs = performance.now();
  await atOnce(order.atOnce, tokens.length, async (index) => {
    clients.push(await dialectOf(server).open({ port, token: tokens[index] as string, localAddress }));
  });
  return performance.now() - startedMs;
}

function closedCount(): number {
  return clients.filter((client) => client.isClosed).length;
}
