// Peer: Socket.IO 4 in two processes with its cluster adapter. Prints its port and the processes that it has.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createAdapter, setupPrimary } from '@socket.io/cluster-adapter';
import { serve } from './socketio-rooms.mjs';

const workerCount = 2;

if (cluster.isPrimary) {
  setupPrimary();
  const workers = Array.from({ length: workerCount }, () => cluster.fork());
  const ports = [];
  cluster.on('listening', (_worker, { port }) => {
    if (ports.push(port) < workerCount) return;
    console.log(JSON.stringify({ port: ports[0], pids: workers.map((worker) => worker.process.pid) }));
  });
} else {
  const http = createServer();
  serve(http, { adapter: createAdapter() });
  http.listen(0, '127.0.0.1');
}
