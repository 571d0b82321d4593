// What the Socket.IO peers do, in one process or in several.
import { Server } from 'socket.io';

export function serve(http, options = {}) {
  // Heartbeats are data frames here: rarer than a run is long, so that none is counted as a message.
  const io = new Server(http, {
    transports: ['websocket'],
    perMessageDeflate: false,
    pingInterval: 600_000,
    ...options,
  });
  io.on('connection', (socket) => {
    socket.on('sub', (room, done) => {
      socket.join(room);
      done();
    });
    socket.on('pub', (room, payload) => io.to(room).emit('m', payload));
  });
}
