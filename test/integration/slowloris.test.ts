/** Clients that do not finish what they began are disconnected, although their sockets were moved to a thread. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { TestClient } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

/** The limits are 5 to 15 s; what is asserted is that the end comes, not when. */
const deadlineMs = 60_000;
const dripMs = 300;

let server: TestServer;
let bystander: TestClient;
/** All begin together, so that the file takes as long as the slowest of them. */
let offenders: Record<'dripping headers' | 'silent' | 'dripping body' | 'half a request line', Offender>;

interface Offender {
  socket: Socket;
  closed: Promise<unknown>;
  /** What the server said before it closed. */
  answer(): string;
}

function offend(opening: string, drip: string): Offender {
  const [host, port] = server.url.split(':') as [string, string];
  const socket = connect(Number(port), host);
  let answer = '';
  socket.on('data', (bytes) => (answer += bytes.toString()));
  socket.on('error', () => {}); // a reset is an end, too
  if (opening !== '') socket.write(opening);
  const dripper = setInterval(() => drip !== '' && socket.write(drip), dripMs);
  socket.once('close', () => clearInterval(dripper));
  return {
    socket,
    closed: once(socket, 'close', { signal: AbortSignal.timeout(deadlineMs) }),
    answer: () => answer,
  };
}

before(async () => {
  server = await startTestServer();
  bystander = await TestClient.connect({ url: server.url, token: tokenOf('ann') });
  const post =
    'POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n';
  offenders = {
    'dripping headers': offend('GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ', 'a'),
    silent: offend('', ''),
    'dripping body': offend(post, ' '),
    'half a request line': offend('GET /w', ''),
  };
  for (const { closed } of Object.values(offenders)) closed.catch(() => {}); // its own test reports it
});
after(async () => {
  for (const { socket } of Object.values(offenders)) socket.destroy();
  await bystander.close();
  await server.stop();
});

test('[ACC3] a socket that sends one header byte now and then is closed', async () => {
  await offenders['dripping headers'].closed;
  assert.match(offenders['dripping headers'].answer(), /^(HTTP\/1\.1 408 |$)/);
});

test('[ACC3] a socket that stops in the middle of its request line is closed', async () => {
  await offenders['half a request line'].closed;
});

test('[ACC3] a socket that sends one byte of its body now and then is closed', async () => {
  await offenders['dripping body'].closed;
  assert.match(offenders['dripping body'].answer(), /^(HTTP\/1\.1 408 |$)/);
});

test('[ACC3] a socket that never sends anything is closed', async () => {
  await offenders.silent.closed;
});

test('meanwhile those who behave are served', async () => {
  assert.equal((await bystander.request('Ping')).type, 'Pong');
  assert.equal((await fetch(`http://${server.url}/health`)).status, 200);
});
