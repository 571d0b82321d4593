// Peer: Socket.IO 4 on WebSocket only, its own rooms; users are rooms of their names. Prints its port.
import { createServer } from 'node:http';
import { serve } from './socketio-rooms.mjs';

const http = createServer();
serve(http);
http.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: http.address().port })));
