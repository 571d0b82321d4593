// What the bare ws peers do with a connection: `+topic` subscribes; everything else goes to the topic that its first word
// names, as it is.
const topics = new Map();

export function serve(socket) {
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
}
