/** Many connections at little cost: raw sockets with a handshake by hand. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.ts';
import { metricOf } from './metrics.ts';
import { tokenOf } from './test-server.ts';

const atOnce = 200;
const connectionsPerUser = 40;

/** `count` connections, all open at once, then closed; resolves when the server has noticed. */
export async function crowdComesAndGoes(url: string, count: number): Promise<void> {
  const tokens = Array.from({ length: Math.ceil(count / connectionsPerUser) }, (_, index) =>
    tokenOf(`crowd-${index}`),
  );
  const sockets: Socket[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const index = next++;
        sockets.push(await openRaw(url, tokens[index % tokens.length] as string));
      }
    }),
  );
  assert.equal(await metricOf(url, 'websocket_connections_active'), count);
  for (const socket of sockets) socket.destroy();
  await eventually('all are gone', async () => (await metricOf(url, 'websocket_connections_active')) === 0);
}

/** A WebSocket handshake by hand, up to `Status Connect`: ten thousand client objects would be what is measured. */
async function openRaw(url: string, token: string): Promise<Socket> {
  const [host, port] = url.split(':') as [string, string];
  const socket = connect(Number(port), host);
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: ${url}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
      `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  let received = '';
  while (!received.includes('"op":"Connect"')) {
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    received += bytes.toString('latin1');
  }
  return socket;
}
