// Peer: bare ws, one send per subscriber. Every message of a connection goes to all that said "sub". Prints its port.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
const subscribers = new Set();
server.on('connection', (socket) => {
  socket.on('message', (bytes) => {
    if (bytes.length === 3) {
      subscribers.add(socket);
      socket.send('ok');
      return;
    }
    for (const subscriber of subscribers) subscriber.send(bytes, { binary: false });
  });
  socket.on('close', () => subscribers.delete(socket));
});
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
