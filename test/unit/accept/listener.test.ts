/** The public port: real connections on the loopback, handed to real threads. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Networks } from '#kit/address.ts';
import { systemClock } from '#kit/clock.ts';
import { Admission, type AdmissionLimits, spareConnections } from '../../../src/accept/admission.ts';
import { type Listener, openListener } from '../../../src/accept/listener.ts';
import { EchoShards } from './echo-shards.ts';

interface Opened {
  listener: Listener;
  admission: Admission;
  shards: EchoShards;
}

async function open(
  t: TestContext,
  limits: Partial<AdmissionLimits> = {},
  host = '127.0.0.1',
): Promise<Opened> {
  const shards = new EchoShards(2);
  t.after(() => shards.close());
  const admission = new Admission({
    connectionsMax: 1000,
    connectionsPerAddressMax: 1000,
    handshakeRate: { permits: 1000, intervalMs: 1, burst: 0 },
    trustedProxies: new Networks([]),
    ...limits,
  });
  const listener = await openListener(host, 0, {
    shards,
    admission,
    clock: systemClock,
    onError: assert.ifError,
  });
  t.after(() => listener.stop());
  return { listener, admission, shards };
}

async function answerFrom(port: number, host = '127.0.0.1'): Promise<{ socket: Socket; answer: string }> {
  const socket = connect(port, host);
  socket.write('hello');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return { socket, answer: bytes.toString() };
}

test('it listens on a free port, hands every connection to a shard and counts it', async (t) => {
  const { listener, admission } = await open(t);
  assert.ok(listener.port > 0);
  const answers = await Promise.all(Array.from({ length: 20 }, () => answerFrom(listener.port)));
  for (const { answer } of answers) assert.match(answer, /^[01] 127\.0\.0\.1 admitted hello$/);
  assert.deepEqual(new Set(answers.map(({ answer }) => answer[0])), new Set(['0', '1']));
  assert.equal(admission.total, 20);
  for (const { socket } of answers) socket.destroy();
});

test('bytes sent before the handover are not lost', async (t) => {
  const { listener } = await open(t);
  const socket = connect(listener.port, '127.0.0.1', () => socket.write('early'));
  assert.match(String((await once(socket, 'data'))[0]), /early$/);
  socket.destroy();
});

test('an IPv4 peer on a dual-stack port is counted by its IPv4 address', async (t) => {
  let opened: Opened;
  try {
    opened = await open(t, {}, '::');
  } catch (error) {
    return t.skip(`this machine has no IPv6: ${(error as Error).message}`);
  }
  const { socket, answer } = await answerFrom(opened.listener.port);
  assert.match(answer, / 127\.0\.0\.1 admitted /);
  socket.destroy();
});

test('[ACC2] what admission says travels with the socket', async (t) => {
  const { listener } = await open(t, { connectionsMax: 1 });
  const first = await answerFrom(listener.port);
  const second = await answerFrom(listener.port);
  assert.match(first.answer, / admitted /);
  assert.match(second.answer, / full /);
  first.socket.destroy();
  second.socket.destroy();
});

test('[ACC2] beyond the hard cap a socket is closed without a word', async (t) => {
  const { listener, admission, shards } = await open(t, { connectionsMax: 1 });
  for (let count = 0; count < 1 + spareConnections; count++) admission.onHandedOver(0 as never, '10.0.0.1');
  const socket = connect(listener.port, '127.0.0.1');
  socket.on('data', () => assert.fail('not a byte'));
  socket.on('error', () => {}); // a reset is as good as an end
  await once(socket, 'close');
  assert.deepEqual(shards.asked, []);
});

test('a port that is taken is refused with EADDRINUSE', async (t) => {
  const other: Server = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  t.after(() => void other.close());
  const { port } = other.address() as { port: number };
  const { shards, admission } = await open(t);
  const ctx = { shards, admission, clock: systemClock, onError: assert.ifError };
  await assert.rejects(openListener('127.0.0.1', port, ctx), { code: 'EADDRINUSE' });
});

test('an address that this machine does not have is refused with EADDRNOTAVAIL', async (t) => {
  const { shards, admission } = await open(t);
  const ctx = { shards, admission, clock: systemClock, onError: assert.ifError };
  await assert.rejects(openListener('192.0.2.1', 0, ctx), { code: 'EADDRNOTAVAIL' });
});

test('after stop nothing new comes in, what was handed over lives on, and stopping twice is once', async (t) => {
  const { listener } = await open(t);
  const { socket } = await answerFrom(listener.port);
  await Promise.all([listener.stop(), listener.stop()]);
  await listener.stop();
  const late = connect(listener.port, '127.0.0.1');
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNREFUSED');
  socket.write('still here');
  assert.match(String((await once(socket, 'data'))[0]), /still here$/);
  socket.destroy();
});

test('a client that resets before it is handed over harms nobody', async (t) => {
  const { listener } = await open(t);
  for (let count = 0; count < 50; count++) {
    const socket = connect(listener.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.once('connect', () => socket.resetAndDestroy());
  }
  const { socket, answer } = await answerFrom(listener.port);
  assert.match(answer, /hello$/);
  socket.destroy();
});
