/**
 * Writes proto/golden/: one example message per client and server type and encoding, for every client's tests.
 * Run by hand after a change of the protocol: `node_modules/node/bin/node scripts/golden.ts`. Existing bytes change only
 * when the protocol does; test/unit/proto/golden.test.ts fails while the files and this table differ.
 *
 * `<side>-<Type>[-<Variant>].json` is the text of a WebSocket message, `….msgpack.hex` the bytes of a binary one, 32 to a
 * line. The newline at the end of a file is no part of the message. Ids and times are fixed. What the server sends is
 * made by the server's own encoders.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import type { ClientEnvelope } from '#proto/data.ts';
import type { Encoding } from '#proto/envelope.ts';
import type { MessageId, TopicName, UserId } from '#proto/names.ts';
import { packMsgpack } from '../src/wire/codec.ts';
import {
  encodeEnvelope,
  encodePublication,
  type Publication,
  type ServerEnvelope,
} from '../src/wire/encode-frame.ts';
import { Payload } from '../src/wire/payload.ts';

export const goldenFolder = new URL('../proto/golden/', import.meta.url);

/** One example. `name` is the file's name without the encoding. */
export interface Golden {
  name: string;
  side: 'client' | 'server';
  type: string;
  /** The bytes of the WebSocket message. */
  encode: (encoding: Encoding) => Buffer;
}

const timestamp = 1_767_225_600_000;
const messageId = '019b76da-a800-7000-8000-000000000001' as MessageId;
const topic = 'chat:lobby' as TopicName;
const from = 'ann' as UserId;
const to = 'ben@example.com' as UserId;
/** Every kind of value that both encodings have. */
const payload = {
  text: 'Grüße, 世界 😀',
  count: 42,
  ratio: -0.5,
  big: 9_007_199_254_740_991,
  ok: true,
  none: null,
  list: [[], {}],
};
const bin = Uint8Array.from({ length: 40 }, (_, index) => (index * 7) & 0xff);

const clientGoldens = [
  ofClient('Auth', { token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE3NjcyMjkyMDB9.c2lnbmF0dXJl' }),
  ofClient('Ping', { sentAt: timestamp, nested: { list: [1, 2, 3] } }),
  ofClient('Subscribe', {
    topic,
    since: { offset: 42, epoch: 'k3f9' },
    filter: { event: 'deploy', 'payload.region': { in: ['eu', 'us'] }, priority: { gte: 'high' } },
  }),
  ofClient('Unsubscribe', { topic }),
  ofClient('Broadcast', { topic, payload, event: 'said', priority: 'high', ttlMs: 60_000, key: 'k1' }),
  ofClient('Broadcast', { payload }, 'Everyone'),
  ofClient('DirectMessage', { to, payload, event: 'said', priority: 'critical', key: 'k2' }),
  ofClient('History', { topic, before: 42, after: 7, limit: 2 }),
];

const serverGoldens = [
  reply('Connect', {
    sessionId: 'n1-0-1',
    userId: from,
    tenant: 'default',
    node: 'n1',
    shard: 0,
    heartbeatMs: 30_000,
    maxMessageBytes: 65_536,
    serverVersion: '1.0.0',
  }),
  reply('Auth', { expiresAt: timestamp + 3_600_000 }),
  reply('Subscribe', { topic, class: 'volatile', recovered: false }),
  reply('Unsubscribe', { topic }),
  reply('Message', { op: 'Broadcast', messageId, topic, offset: 42, epoch: 'k3f9', duplicate: true }),
  reply('History', {
    ...{ topic, epoch: 'k3f9', lastOffset: 42, hasMore: true },
    messages: [{ id: messageId, offset: 41, from, event: 'said', priority: 'high', payload, timestamp }],
  }),
  reply('Subscription', { topic, active: false, reason: 'permission_denied' }),
  published({
    type: 'Broadcast',
    id: messageId,
    topic,
    from,
    event: 'said',
    priority: 'high',
    payload: payloadOf(payload),
    timestamp,
  }),
  published({ type: 'Broadcast', id: messageId, from, payload: payloadOf(payload), timestamp }, 'Everyone'),
  published(
    { type: 'Broadcast', id: messageId, topic, offset: 42, from, payload: payloadOf(payload), timestamp },
    'Durable',
  ),
  published(
    { type: 'Broadcast', id: messageId, topic, from, payload: payloadOf({ image: bin }), timestamp },
    'Binary',
  ),
  published({
    type: 'DirectMessage',
    id: messageId,
    topic: `inbox:${to}` as TopicName,
    from,
    to,
    event: 'said',
    priority: 'critical',
    payload: payloadOf(payload),
    timestamp,
  }),
  ofServer({ type: 'System', data: { event: 'draining', reconnectAfterMs: 1500 }, timestamp }, 'Draining'),
  ofServer(
    { type: 'System', data: { event: 'token_expiring', expiresAt: timestamp + 30_000 }, timestamp },
    'TokenExpiring',
  ),
  ofServer({ type: 'Pong', id: 'c1', data: { sentAt: timestamp, nested: { list: [1, 2, 3] } }, timestamp }),
  ofServer({
    type: 'Error',
    id: 'c1',
    data: {
      code: 'rate_limited',
      message: 'too many envelopes from this connection',
      retryable: true,
      retryAfterMs: 250,
      op: 'Broadcast',
    },
    timestamp,
  }),
];

export const goldens: readonly Golden[] = [...clientGoldens, ...serverGoldens];

/** What the folder must hold: file name → text. */
export function goldenFiles(): Map<string, string> {
  return new Map(
    goldens.flatMap(({ name, encode }) => [
      [`${name}.json`, `${encode('json').toString('utf8')}\n`],
      [
        `${name}.msgpack.hex`,
        `${encode('msgpack')
          .toString('hex')
          .replace(/.{64}(?=.)/g, '$&\n')}\n`,
      ],
    ]),
  );
}

function ofClient<Type extends ClientEnvelope['type']>(
  type: Type,
  data: (ClientEnvelope & { type: Type })['data'],
  variant?: string,
): Golden {
  const envelope = { type, id: 'c1', data };
  return {
    name: nameOf('client', type, variant),
    side: 'client',
    type,
    encode: (encoding) => Buffer.from(encoding === 'json' ? JSON.stringify(envelope) : packMsgpack(envelope)),
  };
}

/** A `Status`. `op` is the variant unless `data` says otherwise. */
function reply(variant: string, data: object): Golden {
  const isAnswer = variant !== 'Connect' && variant !== 'Subscription';
  return ofServer(
    { type: 'Status', ...(isAnswer ? { id: 'c1' } : {}), data: { op: variant, ...data }, timestamp },
    variant,
  );
}

function ofServer(envelope: ServerEnvelope, variant?: string): Golden {
  return {
    name: nameOf('server', envelope.type, variant),
    side: 'server',
    type: envelope.type,
    encode: (encoding) => messageIn(encodeEnvelope(envelope, encoding)),
  };
}

function published(publication: Publication, variant?: string): Golden {
  return {
    name: nameOf('server', publication.type, variant),
    side: 'server',
    type: publication.type,
    encode: (encoding) => messageIn(encodePublication(publication, encoding)),
  };
}

function payloadOf(value: unknown): Payload {
  return Payload.ofValue(value);
}

function nameOf(side: string, type: string, variant: string | undefined): string {
  return variant === undefined ? `${side}-${type}` : `${side}-${type}-${variant}`;
}

/** A server's frame without its WebSocket header (RFC 6455, 5.2: the second byte tells how long that is). */
export function messageIn(frame: Buffer): Buffer {
  const headerBytes = frame[1]! < 126 ? 2 : frame[1] === 126 ? 4 : 10;
  return frame.subarray(headerBytes);
}

if (import.meta.main) {
  mkdirSync(goldenFolder, { recursive: true });
  const files = goldenFiles();
  for (const name of readdirSync(goldenFolder)) if (!files.has(name)) rmSync(new URL(name, goldenFolder));
  for (const [name, text] of files) writeFileSync(new URL(name, goldenFolder), text);
  console.log(`${files.size} golden files written to proto/golden`);
}
