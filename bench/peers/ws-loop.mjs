// Peer: bare ws, one send per subscriber. Prints its port.
// `+topic` subscribes; everything else goes to the topic that its first word names, as it is.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
const topics = new Map();
server.on('connection', (socket) => {
  socket.on('message', (bytes, isBinary) => {
    if (bytes[0] === 43) {
      const topic = bytes.latin1Slice(1);
      const subscribers = topics.get(topic) ?? new Set();
      topics.set(topic, subscribers.add(socket));
      socket.on('close', () => subscribers.delete(socket));
      socket.send('ok');
      return;
    }
    const subscribers = topics.get(bytes.latin1Slice(0, bytes.indexOf(32)));
    for (const subscriber of subscribers ?? []) subscriber.send(bytes, { binary: isBinary });
  });
});
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
