/** Compressed frames, for clients that offer it and beside those that do not. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { Packr, Unpackr } from 'msgpackr';
import WebSocket, { type ClientOptions } from 'ws';
import { eventually } from '../kit/eventually.ts';
import type { Envelope } from '../kit/test-client.ts';
import { startTestServer, type TestServer, tokenOf } from '../kit/test-server.ts';
import { homedAt } from './people.ts';

let server: TestServer;
before(async () => {
  server = await startTestServer({ DEFLATE: 'true' });
});
after(() => server.stop());

type Encoding = 'json' | 'msgpack';
type Offer = ClientOptions['perMessageDeflate'];
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });

/** As test-client.ts, with a say in what is offered. */
class DeflateClient {
  readonly encoding: Encoding;
  readonly socket: WebSocket;
  readonly received: Envelope[] = [];
  closeCode: number | undefined;

  constructor(user: string, encoding: Encoding, perMessageDeflate: Offer, url = server.url) {
    this.encoding = encoding;
    this.socket = new WebSocket(`ws://${url}/ws`, [`carillon.v1.${encoding}`], {
      headers: { authorization: `Bearer ${tokenOf(user)}` },
      ...(perMessageDeflate === undefined ? {} : { perMessageDeflate }),
    });
    this.socket.on('message', (bytes: Buffer, isBinary: boolean) => {
      this.received.push((isBinary ? unpackr.unpack(bytes) : JSON.parse(bytes.toString())) as Envelope);
    });
    this.socket.on('close', (code) => {
      this.closeCode = code;
    });
    this.socket.on('error', () => {});
  }

  static async connect(user: string, encoding: Encoding, offer: Offer, url?: string): Promise<DeflateClient> {
    const client = new DeflateClient(user, encoding, offer, url);
    await eventually('it is connected', () => client.received.length > 0);
    return client;
  }

  get shard(): number {
    return this.received[0]?.data.shard as number;
  }

  get wire(): Socket {
    return (this.socket as unknown as { _socket: Socket })._socket;
  }

  async request(type: string, data: object): Promise<Envelope> {
    const id = randomUUID(); // also the key of what it publishes
    const envelope = { type, id, data };
    this.socket.send(this.encoding === 'json' ? JSON.stringify(envelope) : packr.pack(envelope));
    const reply = await eventually(`${type} is answered`, () => this.received.find((one) => one.id === id));
    return reply as Envelope;
  }

  get payloads(): unknown[] {
    return this.received.filter(({ type }) => type === 'Broadcast').map(({ data }) => data.payload);
  }
}

const compressing: Offer = { threshold: 0 };
const everyReader: [Encoding, Offer][] = [
  ...(['json', 'msgpack'] as const).flatMap((encoding): [Encoding, Offer][] => [
    [encoding, compressing],
    [encoding, compressing],
    [encoding, false],
  ]),
];

async function onShard(
  shard: number,
  user: string,
  encoding: Encoding,
  offer: Offer,
): Promise<DeflateClient> {
  for (;;) {
    const client = await DeflateClient.connect(user, encoding, offer);
    if (client.shard === shard) return client;
    client.socket.close();
  }
}

const payloadsToSend = [
  ...['', 'short', 'é'.repeat(100), 'x'.repeat(255), 'x'.repeat(256), 'y'.repeat(300)],
  { list: Array.from({ length: 400 }, (_, index) => ({ index, name: `entry ${index}` })), none: null },
  randomBytes(20_000).toString('base64'),
  'z'.repeat(60_000),
];

for (const home of [0, 1]) {
  test(`every payload arrives whole, compressed or not, on both shards (home on shard ${home})`, async () => {
    for (const form of ['live:deflate', 'deflate']) {
      const topic = homedAt(home, (index) => `${form}:${index}`);
      const readers: DeflateClient[] = [];
      for (const shard of [0, 1])
        for (const [encoding, offer] of everyReader) readers.push(await onShard(shard, 'r', encoding, offer));
      for (const reader of readers)
        assert.equal((await reader.request('Subscribe', { topic })).type, 'Status');
      const senders: DeflateClient[] = [
        await DeflateClient.connect('s', 'json', compressing),
        await DeflateClient.connect('s', 'msgpack', compressing),
        await DeflateClient.connect('s', 'json', false),
      ];
      const sent: unknown[] = [];
      for (const sender of senders) {
        for (const payload of payloadsToSend) {
          sent.push(payload);
          assert.equal((await sender.request('Broadcast', { topic, payload })).type, 'Status');
        }
      }
      for (const reader of readers) {
        await eventually('all have come', () => reader.payloads.length >= sent.length);
        assert.deepEqual(reader.payloads, sent);
      }
      // What they have in common is the same text every time; less than half of it went over the wire.
      const [compressed, , plain] = readers as [DeflateClient, DeflateClient, DeflateClient];
      assert.ok(compressed.wire.bytesRead < plain.wire.bytesRead / 2, 'it is compressed');
      assert.notEqual(compressed.socket.extensions, '');
      assert.equal(plain.socket.extensions, '');
      for (const client of [...readers, ...senders]) client.socket.close();
    }
  });
}

test('what is replayed, and what is sent to a user, is compressed and whole as well', async () => {
  for (const encoding of ['json', 'msgpack'] as const) {
    const sender = await DeflateClient.connect('s', encoding, compressing);
    const reader = await DeflateClient.connect(`to-${encoding}`, encoding, compressing);
    const payload = { text: 'repeat '.repeat(3000) };
    const topic = `replayed:${encoding}`;
    const { data } = await sender.request('Broadcast', { topic, payload });
    const since = { offset: 0, epoch: data.epoch };
    assert.equal((await reader.request('Subscribe', { topic, since })).data.recovered, true);
    await eventually('it is replayed', () => reader.payloads.length === 1);
    await sender.request('DirectMessage', { to: `to-${encoding}`, payload });
    const direct = (await eventually('it arrives', () =>
      reader.received.find(({ type }) => type === 'DirectMessage'),
    )) as Envelope;
    assert.deepEqual([reader.payloads[0], direct.data.payload], [payload, payload]);
    for (const client of [sender, reader]) client.socket.close();
  }
});

test('a compressed frame of a client is taken', async () => {
  for (const encoding of ['json', 'msgpack'] as const) {
    const client = await DeflateClient.connect('says', encoding, compressing);
    await client.request('Subscribe', { topic: 'live:said' });
    const before = client.wire.bytesWritten;
    const payload = `${encoding}${'w'.repeat(50_000)}`;
    assert.equal((await client.request('Broadcast', { topic: 'live:said', payload })).type, 'Status');
    assert.ok(client.wire.bytesWritten - before < 5_000, 'it was compressed');
    await eventually('it comes back', () => client.payloads.includes(payload));
    client.socket.close();
  }
});

test('a frame that inflates to more than MAX_MESSAGE_BYTES closes with 1009, and touches nobody else', async () => {
  const bystander = await DeflateClient.connect('bystander', 'json', compressing);
  for (const encoding of ['json', 'msgpack'] as const) {
    for (const bytes of [70_000, 50_000_000]) {
      const client = await DeflateClient.connect('bomber', encoding, compressing);
      const envelope = { type: 'Broadcast', data: { topic: 'live:bomb', payload: 'b'.repeat(bytes) } };
      client.socket.send(encoding === 'json' ? JSON.stringify(envelope) : packr.pack(envelope));
      assert.equal(await eventually('it is closed', () => client.closeCode), 1009);
    }
  }
  assert.equal((await bystander.request('Ping', {})).type, 'Pong');
  bystander.socket.close();
});

test('a small frame inside the limit when inflated, one byte over it, and broken bytes', async () => {
  const client = await DeflateClient.connect('edge', 'json', compressing);
  const frame = (text: string) => JSON.stringify({ type: 'Ping', id: 'edge', data: { text } });
  const rest = frame('').length;
  client.socket.send(frame('e'.repeat(65_536 - rest)));
  await eventually('it is answered', () =>
    client.received.some(({ type, id }) => type === 'Pong' && id === 'edge'),
  );
  client.socket.send(frame('e'.repeat(65_537 - rest)));
  assert.equal(await eventually('it is closed', () => client.closeCode), 1009);
  const broken = await DeflateClient.connect('broken', 'json', compressing);
  // A masked text frame with RSV1 whose payload is no DEFLATE stream.
  broken.wire.write(Buffer.from([0xc1, 0x84, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
  await eventually('it is closed', () => broken.closeCode !== undefined);
  assert.ok([1002, 1007].includes(broken.closeCode as number), `closed with ${broken.closeCode}`);
});

test('an offer with a smaller window goes on uncompressed; larger ones and none at all are fine', async () => {
  const payload = 'window '.repeat(5000);
  for (const [offer, isCompressed] of [
    [{ threshold: 0, serverMaxWindowBits: 9 }, false],
    [{ threshold: 0, serverMaxWindowBits: 11 }, false],
    [{ threshold: 0, serverMaxWindowBits: 12 }, true],
    [{ threshold: 0, serverMaxWindowBits: 15 }, true],
    [{ threshold: 0, clientMaxWindowBits: 9 }, true],
    [{ threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }, true],
    [false, false],
  ] as const) {
    const client = await DeflateClient.connect('offers', 'json', offer);
    assert.equal(client.socket.extensions !== '', isCompressed, JSON.stringify(offer));
    await client.request('Subscribe', { topic: 'live:window' });
    const before = client.wire.bytesRead;
    await client.request('Broadcast', { topic: 'live:window', payload });
    await eventually('it comes back', () => client.payloads.includes(payload));
    assert.equal(client.wire.bytesRead - before < 10_000, isCompressed, JSON.stringify(offer));
    client.socket.close();
  }
});

test('where DEFLATE is off an offer is not taken', async () => {
  const plain = await startTestServer({ SHARDS: '1' });
  try {
    const client = await DeflateClient.connect('offers', 'msgpack', compressing, plain.url);
    assert.equal(client.socket.extensions, '');
    await client.request('Subscribe', { topic: 'live:x' });
    await client.request('Broadcast', { topic: 'live:x', payload: 'x'.repeat(5000) });
    await eventually('it comes back', () => client.payloads.length === 1);
  } finally {
    await plain.stop();
  }
});
