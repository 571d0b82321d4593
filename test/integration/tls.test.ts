/** TLS inside the shards, on sockets that were moved there unread: wss messages and https. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { unpack } from 'msgpackr';
import { WebSocket } from 'ws';
import { eventually } from '../kit/eventually.ts';
import type { Envelope } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const needsOpenssl = { skip: !hasOpenssl && 'NOT TESTED: openssl is missing, so there is no certificate' };

const dir = mkdtempSync(join(tmpdir(), 'carillon-tls-'));
const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
let server: TestServer;
let ca: Buffer;

before(async () => {
  if (!hasOpenssl) return;
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], {
    stdio: 'pipe',
  });
  ca = readFileSync(cert);
  server = await startTestServer({ TLS_CERT: cert, TLS_KEY: key });
});
after(async () => {
  await server?.stop();
  rmSync(dir, { recursive: true });
});

interface SecureClient {
  socket: WebSocket;
  received: Envelope[];
  shard: number;
}

/** Resolves with `Status Connect`. */
async function connect(user: string, encoding: 'json' | 'msgpack' = 'json'): Promise<SecureClient> {
  const headers = { authorization: `Bearer ${tokenOf(user)}` };
  const socket = new WebSocket(`wss://${server.url}/ws`, `carillon.v1.${encoding}`, { ca, headers });
  const received: Envelope[] = [];
  socket.on('message', (bytes: Buffer, isBinary) => {
    received.push((isBinary ? unpack(bytes) : JSON.parse(bytes.toString())) as Envelope);
  });
  await once(socket, 'message');
  return { socket, received, shard: received[0]!.data.shard };
}

async function connectTo(shard: number, user: string, encoding: 'json' | 'msgpack'): Promise<SecureClient> {
  for (;;) {
    const client = await connect(user, encoding);
    if (client.shard === shard) return client;
    client.socket.terminate();
  }
}

function say(client: SecureClient, type: string, data: object): void {
  client.socket.send(JSON.stringify({ type, id: `${type}-1`, data }));
}

test('messages cross both shards over wss, in both encodings and in order', needsOpenssl, async () => {
  const sender = await connectTo(0, 'ann', 'json');
  const readers = [
    await connectTo(0, 'ben', 'json'),
    await connectTo(1, 'cat', 'json'),
    await connectTo(1, 'dan', 'msgpack'),
  ];
  for (const reader of readers.slice(0, 2)) say(reader, 'Subscribe', { topic: 'tls:a' });
  // {"type":"Subscribe","id":"Subscribe-1","data":{"topic":"tls:a"}} as msgpack, by hand.
  const text = (value: string) => Buffer.concat([Buffer.from([0xa0 | value.length]), Buffer.from(value)]);
  const entries = [text('type'), text('Subscribe'), text('id'), text('Subscribe-1'), text('data')];
  readers[2]!.socket.send(
    Buffer.concat([Buffer.from([0x83]), ...entries, Buffer.from([0x81]), text('topic'), text('tls:a')]),
  );
  const isSubscribed = ({ received }: SecureClient) => received.some(({ id }) => id === 'Subscribe-1');
  await eventually('all have subscribed', () => readers.every(isSubscribed));
  for (let index = 0; index < 200; index++) {
    say(sender, 'Broadcast', {
      topic: 'tls:a',
      payload: { index, text: 'x'.repeat(1000) },
      key: `k${index}`,
    });
  }
  for (const { received } of readers) {
    const ofTopic = () => received.filter(({ type }) => type === 'Broadcast');
    await eventually('all have arrived', () => ofTopic().length === 200);
    assert.deepEqual(
      ofTopic().map(({ data }) => data.payload.index),
      Array.from({ length: 200 }, (_, index) => index),
    );
  }
  for (const { socket } of [sender, ...readers]) socket.terminate();
});

test('https answers on the same port', needsOpenssl, async () => {
  const [response] = await once(get(`https://${server.url}/health`, { ca, agent: false }), 'response');
  assert.equal(response.statusCode, 200);
  response.resume();
});

test('a bad token closes with 4500 over wss, too', needsOpenssl, async () => {
  const socket = new WebSocket(`wss://${server.url}/ws?token=bad`, { ca });
  assert.equal((await once(socket, 'close'))[0], 4500);
});

test(
  'a client that speaks plain HTTP to the TLS port is disconnected, and nobody else is',
  needsOpenssl,
  async () => {
    const bystander = await connect('ann');
    const [host, port] = server.url.split(':') as [string, string];
    for (const bytes of [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      '\u0016\u0003\u0001\u0002',
      '\0'.repeat(1000),
    ]) {
      const socket = connectTcp(Number(port), host, () => socket.end(bytes));
      socket.on('error', () => {}); // a reset is a disconnection, too
      socket.resume();
      await once(socket, 'close');
    }
    say(bystander, 'Ping', {});
    await eventually('the bystander is answered', () =>
      bystander.received.some(({ type }) => type === 'Pong'),
    );
    bystander.socket.terminate();
  },
);

test('TLS older than 1.2 is refused', needsOpenssl, async () => {
  const [host, port] = server.url.split(':') as [string, string];
  const socket = connectTls({
    port: Number(port),
    host,
    ca,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'ALL@SECLEVEL=0',
  });
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  const modern = connectTls({ port: Number(port), host, ca });
  await once(modern, 'secureConnect');
  assert.match(modern.getProtocol() ?? '', /^TLSv1\.[23]$/);
  modern.destroy();
});

test('a client that never begins its TLS handshake is disconnected', needsOpenssl, async () => {
  const [host, port] = server.url.split(':') as [string, string];
  const socket = connectTcp(Number(port), host);
  socket.on('error', () => {});
  socket.resume();
  await once(socket, 'close', { signal: AbortSignal.timeout(60_000) });
});
