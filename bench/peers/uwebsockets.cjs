// Peer: uWebSockets (C++), its own publish. Runs on Node 20 only. Prints its port.
const uws = require('uwebsockets');

const app = uws.App();
app.ws('/*', {
  compression: 0,
  maxBackpressure: 64 * 1024 * 1024,
  message(socket, bytes) {
    if (bytes.byteLength === 3) {
      socket.subscribe('t');
      socket.send('ok');
    } else {
      app.publish('t', bytes, false);
    }
  },
});
app.listen('127.0.0.1', 0, (token) => console.log(JSON.stringify({ port: uws.us_socket_local_port(token) })));
