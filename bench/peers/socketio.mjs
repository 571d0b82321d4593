// Peer: Socket.IO 4 on WebSocket only, its own rooms. Prints its port.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const http = createServer();
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false });
io.on('connection', (socket) => {
  socket.on('sub', (_room, done) => {
    socket.join('t');
    done();
  });
  socket.on('pub', (payload) => io.to('t').emit('m', payload));
});
http.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: http.address().port })));
