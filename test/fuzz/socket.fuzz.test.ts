/**
 * Three hundred strangers on a real server: broken upgrades, broken framing, broken envelopes, in pieces of a few bytes.
 * Afterwards good clients on all shards are served as if nothing had happened. FUZZ_SEED sets what is said.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Random, seededRandom } from '#kit/random.ts';
import { type Encoding, encodings } from '#proto/envelope.ts';
import { clientsOnShards } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { fuzzToken } from './corpus.ts';
import { Mutator } from './mutate.ts';
import { clientFrame, RawSocket } from './raw-socket.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_101);
const socketCount = 300;
const atOnce = 25;

/** Requests that are no upgrade, or a wrong one. */
const requests = [
  'GET /ws HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n',
  'GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n',
  'GET /../ws?token=%zz&encoding=%00 HTTP/1.1\r\nHost: \u0000\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  'GET //[ HTTP/1.1\r\nHost: [::\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: ]\r\n\r\n',
  'POST /api/v1/publish HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{"a":',
  'POST /ws HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz\r\n',
  `GET /ws HTTP/1.1\r\nHost: a\r\n__proto__: x\r\nconstructor: y\r\n${'X-A: b\r\n'.repeat(300)}\r\n`,
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`,
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
];

async function beStranger(port: number, random: Random): Promise<'upgraded' | 'refused'> {
  const socket = new RawSocket(port, random);
  const isUpgrading = random.next() < 0.65;
  if (isUpgrading) await talk(socket, random);
  else await socket.dribble(requestOrGarbage(random));
  await socket.leave();
  return isUpgrading && socket.heard.startsWith('HTTP/1.1 101') ? 'upgraded' : 'refused';
}

function requestOrGarbage(random: Random): Buffer {
  const request = Buffer.from(requests[Math.floor(random.next() * requests.length)]!, 'latin1');
  if (random.next() < 0.3) return randomBytes(random, 400);
  if (random.next() < 0.5) return request;
  for (let count = 0; count < 3; count++)
    request[Math.floor(random.next() * request.length)]! ^= 1 << (random.next() * 8);
  return request;
}

/** A connection that is one, and then frames that are less and less so. */
async function talk(socket: RawSocket, random: Random): Promise<void> {
  const encoding = encodings[random.next() < 0.5 ? 0 : 1];
  await socket.upgrade(
    encoding,
    random.next() < 0.7 ? fuzzToken : random.next() < 0.5 ? undefined : 'not.a.token',
  );
  const mutator = new Mutator(encoding, random);
  for (let count = Math.floor(random.next() * 30); count > 0 && socket.isOpen; count--) {
    await socket.dribble(wireBytes(mutator, encoding, random));
  }
}

function wireBytes(mutator: Mutator, encoding: Encoding, random: Random): Buffer {
  const payload = mutator.next().subarray(0, 2000);
  const opcode = encoding === 'json' ? 1 : 2;
  const whole = clientFrame(payload, opcode, random);
  const draw = random.next();
  if (draw < 0.88) return whole;
  if (draw < 0.91) return clientFrame(payload.subarray(0, 125), 9, random);
  if (draw < 0.94) return fragments(payload, opcode, random);
  if (draw < 0.95) return clientFrame(payload, 3 - opcode, random);
  if (draw < 0.965) return clientFrame(payload, Math.floor(random.next() * 16), random);
  if (draw < 0.98) return whole.subarray(0, Math.floor(random.next() * whole.length));
  if (draw < 0.99)
    return Buffer.concat([
      Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
      payload,
    ]);
  return randomBytes(random, 100);
}

/** One message in two to a hundred frames, some of them empty; sixty-four are allowed. */
function fragments(payload: Buffer, opcode: number, random: Random): Buffer {
  const count = 2 + Math.floor(random.next() * 70);
  const size = Math.ceil(payload.length / count);
  const frames = Array.from({ length: count }, (_, index) => {
    const frame = clientFrame(
      payload.subarray(index * size, (index + 1) * size),
      index === 0 ? opcode : 0,
      random,
    );
    if (index < count - 1) frame[0]! &= 0x7f;
    return frame;
  });
  return Buffer.concat(frames);
}

function randomBytes(random: Random, lengthMax: number): Buffer {
  return Buffer.from(Array.from({ length: 1 + random.next() * lengthMax }, () => random.next() * 256));
}

async function metric(server: TestServer, name: string): Promise<number> {
  const page = await (await fetch(`http://${server.url}/metrics`)).text();
  const line = page.split('\n').find((text) => text.startsWith(`${name} `));
  assert.ok(line !== undefined, `${name} is on the page`);
  return Number(line.slice(name.length + 1));
}

test(`${socketCount} strangers say garbage; the good clients do not notice`, {
  timeout: 120_000,
}, async (t) => {
  t.diagnostic(`seed ${seed}`);
  const server = await startTestServer();
  try {
    const options = { url: server.url, token: tokenOf('witness') };
    const witnesses = await clientsOnShards(options, [0, 1]);
    const outcomes = { upgraded: 0, refused: 0 };
    for (let first = 0; first < socketCount; first += atOnce) {
      const strangers = Array.from({ length: atOnce }, (_, index) =>
        beStranger(server.port, seededRandom(seed + first + index)),
      );
      for (const outcome of await Promise.all(strangers)) outcomes[outcome]++;
    }
    const envelopes = await metric(server, 'websocket_messages_total{direction="in"}');
    t.diagnostic(JSON.stringify({ ...outcomes, envelopes }));
    assert.ok(outcomes.upgraded > socketCount / 3 && outcomes.refused > socketCount / 10, 'the run is void');
    assert.ok(envelopes > socketCount, 'the run is void: too little of it reached a session');

    const reader = (await clientsOnShards({ ...options, encoding: 'msgpack' }, [1]))[0]!;
    for (const client of [...witnesses, reader]) await client.request('Subscribe', { topic: 'after:all' });
    await witnesses[0]!.request('Broadcast', { topic: 'after:all', payload: 'still here' });
    for (const client of [...witnesses, reader]) {
      await client.waitFor(({ data }) => data.topic === 'after:all' && data.payload === 'still here');
    }
    const failed = server.logs.filter(({ level }) => level === 'fatal' || level === 'error');
    assert.deepEqual(failed, [], `seed ${seed}`);
    assert.equal(
      server.logs.some(({ msg }) => msg === 'the shard failed'),
      false,
    );
    assert.equal(await metric(server, 'session_failures_total'), 0);
    assert.equal(await metric(server, 'shard_restarts_total'), 0);
    while ((await metric(server, 'websocket_connections_active')) !== 3) await setTimeout(50);
    await Promise.all([...witnesses, reader].map((client) => client.close()));
  } finally {
    await server.stop();
  }
});
