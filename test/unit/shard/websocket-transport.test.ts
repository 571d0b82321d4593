/**
 * The connection under a session, on a real ws server and client over loopback.
 * Pins our reach into ws: that it writes its own frames to the very socket of the upgrade, at once and whole. Should ws
 * ever buffer, delay or split them, our frames written to that socket could land inside one of them: this fails first.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { seededRandom } from '#kit/random.ts';
import type { Runnable } from '../../../src/session/ports.ts';
import type { TransportUser, WebSocketTransport } from '../../../src/shard/websocket-transport.ts';
import { frameBinary, frameText } from '../../../src/wire/websocket-frame.ts';
import { patternBytes } from '../ring/ring-pair.ts';
import { openPairServer, type Pair, type PairServer } from '../wire/websocket-pair.ts';

let server: PairServer;
before(async () => {
  server = await openPairServer();
});
after(() => server.close());

const ping = (payload: Buffer) => Buffer.concat([Buffer.from([0x89, payload.length]), payload]);
const pong = (payload: Buffer) => Buffer.concat([Buffer.from([0x8a, payload.length]), payload]);
const close = (code: number, reason: string) =>
  Buffer.concat([Buffer.from([0x88, 2 + reason.length, code >> 8, code & 0xff]), Buffer.from(reason)]);

/** What `action` gives to the socket before it returns. */
function writtenBy({ written }: Pair, action: () => void): Buffer {
  const countBefore = written.length;
  action();
  return Buffer.concat(written.slice(countBefore));
}

test('ws writes a ping, a pong and a close to the very socket, whole, before the call returns', async () => {
  const pair = await server.connect();
  const { transport, webSocket, written, client } = pair;
  assert.ok(writtenBy(pair, () => transport.ping()).equals(ping(Buffer.alloc(0))));
  for (const length of [0, 1, 125]) {
    const payload = patternBytes(length, 1);
    assert.ok(
      writtenBy(pair, () => webSocket.pong(payload)).equals(pong(payload)),
      `a pong of ${length} bytes`,
    );
    assert.ok(
      writtenBy(pair, () => webSocket.ping(payload)).equals(ping(payload)),
      `a ping of ${length} bytes`,
    );
  }
  const closed = once(client, 'close');
  assert.ok(writtenBy(pair, () => transport.close(4000, 'going_away')).equals(close(4000, 'going_away')));
  const count = written.length;
  await closed;
  assert.equal(written.length, count, 'and nothing after the close frame');
});

test('the same holds when the client does not read and the socket is full', async () => {
  const pair = await server.connect();
  const { transport, webSocket, socket, client } = pair;
  client.pause();
  while (socket.writableLength < 4_000_000) transport.write([frameBinary(patternBytes(65_000, 2))]);
  await setImmediate();
  assert.ok(transport.bufferedBytes() > 0);
  const payload = patternBytes(125, 3);
  assert.ok(writtenBy(pair, () => transport.ping()).equals(ping(Buffer.alloc(0))));
  assert.ok(writtenBy(pair, () => webSocket.pong(payload)).equals(pong(payload)));
  assert.ok(
    writtenBy(pair, () => transport.close(4002, 'slow_consumer')).equals(close(4002, 'slow_consumer')),
  );
  assert.equal(
    webSocket.bufferedAmount,
    socket.writableLength,
    'ws holds nothing back in a queue of its own',
  );
  const closed = once(client, 'close');
  client.resume();
  assert.equal((await closed)[0], 4002);
});

test('the pong that ws sends by itself is whole and out before anyone hears of the ping', async () => {
  const { webSocket, written, client } = await server.connect();
  for (const length of [0, 5, 125]) {
    const payload = patternBytes(length, 4);
    const countBefore = written.length;
    const answered = new Promise<Buffer>((resolve) => {
      webSocket.once('ping', () => resolve(Buffer.concat(written.slice(countBefore))));
    });
    client.ping(payload);
    assert.ok((await answered).equals(pong(payload)), `${length} bytes`);
  }
});

test('frames written directly, pongs of ws and a close reach the client intact and in order', {
  timeout: 60_000,
}, async (t) => {
  const seed = 20_260_101;
  t.diagnostic(`seed ${seed}`);
  const random = seededRandom(seed);
  const { transport, client, webSocket, written, socket } = await server.connect();
  const [bursts, pingsInFlight] = [1500, 16];
  const received: Buffer[] = [];
  const pongs: string[] = [];
  let pingCount = 0;
  const sendPing = () => client.ping(patternBytes(pingCount % 126, pingCount++));
  client.on('message', (content: Buffer, isBinary) => {
    received.push(Buffer.concat([Buffer.from([isBinary ? 2 : 1]), content]));
  });
  client.on('pong', (payload: Buffer) => {
    pongs.push(payload.toString('hex'));
    sendPing();
  });
  const closed = once(client, 'close') as Promise<[number, Buffer]>;
  for (let index = 0; index < pingsInFlight; index++) sendPing();

  const sent: Buffer[] = [];
  const framed: Buffer[] = [];
  for (let burst = 0; burst < bursts; burst++) {
    const frames = Array.from({ length: 1 + Math.floor(random.next() * 5) }, () => {
      const draw = random.next();
      const content = patternBytes(
        Math.floor(random.next() * (draw < 0.8 ? 200 : draw < 0.98 ? 5000 : 70_000)),
        sent.length,
      );
      const isText = random.next() < 0.5;
      const text = content.toString('latin1');
      sent.push(
        isText
          ? Buffer.concat([Buffer.from([1]), Buffer.from(text)])
          : Buffer.concat([Buffer.from([2]), content]),
      );
      return isText ? frameText(text) : frameBinary(content);
    });
    framed.push(...frames);
    transport.write(frames);
    if (random.next() < 0.05) transport.ping();
    // Let ws answer pings between bursts, whatever their number, and keep the socket from growing without bound.
    if (random.next() < 0.5 || socket.writableLength > 1_000_000) await setImmediate();
    while (socket.writableLength > 8_000_000) await once(socket, 'drain');
  }
  transport.close(4000, 'going_away');
  transport.write([frameText('too late')]);
  const [code, reason] = await closed;

  assert.deepEqual([code, reason.toString()], [4000, 'going_away']);
  assert.equal(received.length, sent.length);
  for (const [index, content] of sent.entries())
    assert.ok(received[index]!.equals(content), `frame ${index}, seed ${seed}`);
  assert.ok(pongs.length > 100, `only ${pongs.length} pongs went between the frames: the test is void`);
  assert.deepEqual(
    pongs,
    Array.from({ length: pongs.length }, (_, index) => patternBytes(index % 126, index).toString('hex')),
  );
  assertNothingSplit(written, framed);
  assert.equal(webSocket.readyState, WebSocket.CLOSED);
});

/** Every write is one of our frames or ws's own header and payload in a row: never one inside the other. */
function assertNothingSplit(written: Buffer[], framed: Buffer[]): void {
  const ours = new Set(framed.map((frame) => frame.toString('latin1')));
  for (let index = 0; index < written.length; index++) {
    const chunk = written[index]!;
    if (ours.has(chunk.toString('latin1'))) continue;
    const opcode = chunk[0]! & 0x0f;
    assert.ok(
      opcode >= 8 && opcode <= 10,
      `write ${index} begins a frame: ${chunk.subarray(0, 20).toString('hex')}`,
    );
    const missing = 2 + chunk[1]! - chunk.length;
    if (missing > 0)
      assert.equal(written[++index]?.length, missing, `the payload follows its header at ${index}`);
  }
}

test('after close nothing is written: no frame, no ping, no second close', async () => {
  for (const isClientGone of [false, true]) {
    const { transport, client, webSocket, written } = await server.connect();
    const closed = once(client, 'close');
    if (isClientGone) {
      const ended = once(webSocket, 'close');
      client.terminate();
      await ended;
    } else {
      transport.close(4001, 'shard_restart');
    }
    const count = written.length;
    transport.write([frameText('late')]);
    transport.write([frameText('late'), frameText('later')]);
    transport.ping();
    transport.close(4000, 'going_away');
    assert.equal(written.length, count);
    await closed;
    transport.write([frameText('latest')]);
    transport.ping();
    assert.equal(written.length, count);
  }
});

test('several frames of one write are corked: they leave as one piece', async () => {
  const { transport, socket, client } = await server.connect();
  const pieces: number[] = [];
  const writev = socket._writev!.bind(socket);
  socket._writev = (chunks, callback) => {
    pieces.push(chunks.length);
    writev(chunks, callback);
  };
  const received: string[] = [];
  client.on('message', (content: Buffer) => void received.push(content.toString()));
  transport.write([frameText('one'), frameText('two'), frameText('three')]);
  while (received.length < 3) await once(client, 'message');
  assert.deepEqual(pieces, [3]);
  assert.deepEqual(received, ['one', 'two', 'three']);
  client.terminate();
});

test('paused reading hears nothing until it resumes; a close wakes it, so that the answer of the peer is seen', {
  timeout: 20_000,
}, async () => {
  const { transport, webSocket, client } = await server.connect();
  const heard: string[] = [];
  webSocket.on('message', (content: Buffer) => void heard.push(content.toString()));
  transport.pauseReading();
  client.send('while paused');
  client.ping();
  for (let turn = 0; turn < 50; turn++) await setImmediate();
  assert.deepEqual(heard, []);
  const resumed = once(webSocket, 'message');
  transport.resumeReading();
  await resumed;
  assert.deepEqual(heard, ['while paused']);

  transport.pauseReading();
  const [serverClosed, clientClosed] = [once(webSocket, 'close'), once(client, 'close')];
  transport.close(4004, 'overloaded');
  assert.equal((await clientClosed)[0], 4004);
  assert.equal((await serverClosed)[0], 4004, 'the close frame of the peer was read, it was not cut off');
});

/** A session that notes what it is told. */
function listening(transport: WebSocketTransport, isBinary = false) {
  const heard: unknown[] = [];
  const slices: Runnable[] = [];
  const session: TransportUser = {
    onFrame: (bytes) => heard.push(Buffer.from(bytes).toString()),
    onHeard: () => heard.push('heard'),
    onPong: () => heard.push('pong'),
    onTransportEnded: () => heard.push('ended'),
    onTransportClosed: (code, isOrderly) => heard.push({ code, isOrderly }),
    close: (name) => heard.push(name),
  };
  transport.serve(session, isBinary, { requestSlice: (runnable) => void slices.push(runnable) });
  return { heard, slices };
}

test('the session hears of messages of its kind, of pings, pongs, and the end', async () => {
  const { transport, webSocket, client } = await server.connect();
  const { heard, slices } = listening(transport);
  client.send('one');
  client.send(Buffer.from('not text'));
  client.ping();
  client.pong();
  client.send('two');
  client.close(1001);
  const closed = once(webSocket, 'close');
  while (slices.length === 0) await setImmediate();
  for (const slice of slices) assert.equal(slice.runSlice(1), false);
  await closed;
  assert.deepEqual(heard, [
    ...['one', 'unsupported_data', 'heard', 'pong', 'two', 'ended'],
    { code: 1001, isOrderly: true },
  ]);
});

test('broken framing closes with the code of RFC 6455, and throws nowhere', async () => {
  const { transport, webSocket, client } = await server.connect();
  const { heard, slices } = listening(transport);
  const [told, closed] = [once(client, 'close'), once(webSocket, 'close')];
  (client as unknown as { _socket: Socket })._socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  assert.equal((await told)[0], 1002);
  while (slices.length === 0) await setImmediate();
  for (const slice of slices) slice.runSlice(1);
  await closed;
  assert.deepEqual(heard, ['ended', { code: 1006, isOrderly: true }]);
});

test('ws is the last to listen for the end of its socket, and what it does then can wait', async () => {
  const { transport, webSocket, socket, client } = await server.connect();
  assert.equal(socket.listeners('end').at(-1)?.name, 'socketOnEnd');
  const { heard, slices } = listening(transport);
  const closed = once(webSocket, 'close');
  client.terminate();
  while (slices.length === 0) await setImmediate();
  await setImmediate();
  assert.deepEqual(heard, ['ended']);
  assert.equal(webSocket.readyState, WebSocket.OPEN, 'nothing was done yet');
  const [slice] = slices as [Runnable];
  assert.equal(slice.row, 'deferred');
  assert.equal(slice.runSlice(1), false);
  assert.equal((await closed)[0], 1006);
  slice.runSlice(1); // of a socket that is gone: nothing
  assert.deepEqual(heard.slice(1), [{ code: 1006, isOrderly: true }]);
});

test('one who has ended and does not read is cut off, with an error', async () => {
  const pair = await server.connect();
  const { transport, socket, client } = pair;
  client.pause();
  while (socket.writableLength < 4_000_000) transport.write([frameBinary(patternBytes(65_000, 2))]);
  const { slices } = listening(transport);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  (client as unknown as { _socket: Socket })._socket.end();
  while (slices.length === 0) await setImmediate();
  for (const slice of slices) slice.runSlice(1);
  await closed;
  assert.ok(socket.errored);
});

test('what is written to one who has said goodbye is refused', async () => {
  const { transport, webSocket, client } = await server.connect();
  const closing = once(webSocket, 'close');
  assert.equal(transport.write(frameText('before')), true);
  client.close(1001);
  await closing;
  assert.equal(transport.write(frameText('after')), false);
});
