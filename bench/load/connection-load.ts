/**
 * Load of the connection scenarios, in a process of its own: opens connections, so many at a time, and holds them.
 * Talks to its parent by IPC: takes one ConnectionLoad, answers 'open' when all are; ends with its parent.
 */
import { dialects, type ServerName } from './dialects.ts';

export interface ConnectionLoad {
  server: ServerName;
  port: number;
  tokens: string[];
  connections: number;
  atOnce: number;
}

process.on('message', (load: ConnectionLoad) => void open(load));

async function open({ server, port, tokens, connections, atOnce }: ConnectionLoad): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < connections) await dialects[server].open(port, tokens[next++ % tokens.length] as string);
    }),
  );
  process.send?.('open');
}
