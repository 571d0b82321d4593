/**
 * The start-up self-test: does a socket that is accepted here arrive in a shard, readable and writable?
 * Thread: primary. Called by server.ts. The transfer is young in Node (24.20): better not to start than to accept
 * connections that hang.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

const timeoutMs = 5_000;
const word = 'carillon';

/** Throws with a sentence when the transfer does not work. `tryProbe` hands a socket to a shard that echoes. */
export async function testTransfer(tryProbe: (socket: Socket) => boolean): Promise<void> {
  const refused = new Error(
    `this Node (${process.version}) does not move sockets to worker threads; Carillon needs 24.20 or later`,
  );
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  try {
    const [accepted] = (await once(server, 'connection')) as [Socket];
    if (!tryProbe(accepted)) throw refused;
    client.write(word);
    const signal = AbortSignal.timeout(timeoutMs);
    const [echo] = (await once(client, 'data', { signal })) as [Buffer];
    if (echo.toString() !== word) throw refused;
  } catch (error) {
    throw error === refused ? refused : new Error(`${refused.message} (${(error as Error).message})`);
  } finally {
    client.destroy();
    server.close();
  }
}
