/** What reaching below a transferred socket relies on in Node: fails when Node changes it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { reshape } from '../../../src/shard/arrived-socket.ts';

const thread = `
const { parentPort } = require('node:worker_threads');
const { Socket } = require('node:net');
require('node:v8').setFlagsFromString('--allow-natives-syntax');
const isFast = new Function('socket', 'return %HasFastProperties(socket)');
parentPort.once('message', async ({ socket: arrived }) => {
  const { reshape } = await import(${JSON.stringify(new URL('../../../src/shard/arrived-socket.ts', import.meta.url).href)});
  const socket = reshape(arrived, { allowHalfOpen: true });
  parentPort.postMessage({
    arrivedIsFast: isFast(arrived), isFast: isFast(socket), isNew: socket !== arrived, isPaused: socket.isPaused(),
    isSocket: socket instanceof Socket, port: socket.remotePort, allowHalfOpen: socket.allowHalfOpen,
  });
  serve(socket);
});
`;
const echoing = `${thread}
function serve(socket) {
  socket.on('data', (bytes) => socket.end('echo ' + bytes));
  socket.resume();
}`;
/** Stops after each piece, and answers with what it has got. */
const pausing = `${thread}
const hash = require('node:crypto').createHash('sha1');
function serve(socket) {
  let count = 0;
  let isPaused = false;
  socket.on('data', (bytes) => {
    if (isPaused) return socket.end('something came while it was paused');
    isPaused = true;
    hash.update(bytes);
    count += bytes.length;
    if (count === 3000000) return socket.end(count + ' ' + hash.digest('hex'));
    socket.pause();
    setImmediate(() => {
      isPaused = false;
      socket.resume();
    });
  });
  socket.resume();
}`;

function digestOf(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}

async function transferred(t: TestContext, source = echoing) {
  const worker = new Worker(source, { eval: true });
  const listener = createServer({ pauseOnConnect: true }, (socket) =>
    worker.postMessage({ socket }, [socket as never]),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  t.after(async () => {
    client.destroy();
    listener.close();
    await worker.terminate();
  });
  const [facts] = (await once(worker, 'message')) as [Record<string, unknown>];
  return { client, facts };
}

test('a socket from another thread is reshaped: fast, paused, with its peer, and it does not end by itself', async (t) => {
  const { client, facts } = await transferred(t);
  assert.deepEqual(facts, {
    ...{ arrivedIsFast: false, isFast: true, isNew: true, isPaused: true, isSocket: true },
    ...{ port: client.localPort, allowHalfOpen: true },
  });
});

test('nothing is lost on the way: what the client sent before is read, and the answer arrives', async (t) => {
  const { client } = await transferred(t);
  client.write('hello');
  const [bytes] = (await once(client, 'data')) as [Buffer];
  assert.equal(bytes.toString(), 'echo hello');
});

test('what comes while it is paused comes later, in order, and nothing comes in between', async (t) => {
  const { client } = await transferred(t, pausing);
  const sent = Buffer.alloc(3_000_000, 'abcdefghijklmnopqrstuvwxyz0123456789');
  client.write(sent);
  const chunks: Buffer[] = [];
  client.on('data', (bytes: Buffer) => chunks.push(bytes));
  await once(client, 'end');
  assert.equal(Buffer.concat(chunks).toString(), `${sent.length} ${digestOf(sent)}`);
});

test('a socket without a handle is used as it is', () => {
  const socket = new Socket();
  assert.equal(reshape(socket, { allowHalfOpen: true }), socket);
});
