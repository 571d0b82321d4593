// Peer: bare ws, one send per subscriber. Prints its port.
import { WebSocketServer } from 'ws';
import { serve } from './topics.mjs';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
server.on('connection', serve);
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
