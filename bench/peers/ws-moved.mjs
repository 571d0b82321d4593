// Floor: bare ws in a worker thread, on sockets that the primary accepted and moved there: our shape with nothing in it.
// Prints its port.
import { createServer as createHttpServer } from 'node:http';
import { createServer, Socket } from 'node:net';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { WebSocketServer } from 'ws';
import { serve } from './topics.mjs';

if (isMainThread) accept();
else adopt();

function accept() {
  const worker = new Worker(new URL(import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: 24 } });
  const listener = createServer({ pauseOnConnect: true }, (socket) => worker.postMessage(socket, [socket]));
  worker.once('message', () => {
    listener.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
      console.log(JSON.stringify({ port: listener.address().port })),
    );
  });
}

function adopt() {
  const http = createHttpServer();
  const server = new WebSocketServer({ noServer: true, clientTracking: false, perMessageDeflate: false });
  http.on('upgrade', (request, socket, head) => server.handleUpgrade(request, socket, head, serve));
  parentPort.on('message', (arrived) => {
    // As src/shard/arrived-socket.ts: what arrives is a hash table.
    const handle = arrived._handle;
    arrived._handle = null;
    const socket = new Socket({ handle, pauseOnCreate: true });
    http.emit('connection', socket);
    socket.resume();
  });
  parentPort.postMessage('ready');
}
