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
const inbox = `inbox:${to}` as TopicName;
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

/** A session that was lost, and the one that goes on with it. */
const [formerId, sessionId] = [
  '019b76da-a800-7000-8000-0000000000f1',
  '019b76da-a800-7000-8000-0000000000f2',
];
const inboxOfFrom = `inbox:${from}`;
const device = { id: 'd1', kind: 'desktop', platform: 'linux' };
/** One who is there, with a device of before; and one who is not. */
const busy = {
  ...{ user: to, status: 'busy' },
  devices: [
    { ...device, status: 'busy' },
    { id: 'd2', kind: 'mobile', status: 'offline', lastSeen: timestamp - 60_000 },
  ],
  meta: { mood: 'in a meeting' },
};
const gone = { user: 'cat', status: 'offline', lastSeen: timestamp - 3_600_000, devices: [] };

const clientGoldens = [
  ofClient('Auth', { token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4iLCJleHAiOjE3NjcyMjkyMDB9.c2lnbmF0dXJl' }),
  ofClient('Resume', {
    sessionId: formerId,
    resumeToken: 'q83vEjRWeJCrze8SNFZ4kA',
    positions: { [topic]: { offset: 42, epoch: 'k3f9' }, [inboxOfFrom]: { offset: 7, epoch: 'k3f9' } },
  }),
  ofClient('Ping', { sentAt: timestamp, nested: { list: [1, 2, 3] } }),
  ofClient('Subscribe', {
    topic,
    since: { offset: 42, epoch: 'k3f9' },
    presence: true,
    filter: { event: 'deploy', 'payload.region': { in: ['eu', 'us'] }, priority: { gte: 'high' } },
  }),
  ofClient('Unsubscribe', { topic }),
  ofClient('Broadcast', { topic, payload, event: 'said', priority: 'high', ttlMs: 60_000, key: 'k1' }),
  ofClient('Broadcast', { payload }, 'Everyone'),
  ofClient('DirectMessage', { to, payload, event: 'said', priority: 'critical', key: 'k2' }),
  ofClient('Typing', { topic, active: true }),
  ofClient('Typing', { to, active: false }, 'To'),
  ofClient('Presence', { status: 'busy', device, meta: { mood: 'in a meeting' } }),
  ofClient('PresenceSubscribe', { users: [to, 'cat'] }),
  ofClient('PresenceUnsubscribe', { users: [to] }),
  ofClient('PresenceQuery', { users: [to, 'cat'] }),
  ofClient('PresenceQuery', { topic, after: from, limit: 2 }, 'Topic'),
  ofClient('History', { topic, before: 42, after: 7, limit: 2 }),
  ofClient('History', { with: to, before: 42, after: 7, limit: 2 }, 'With'),
  ofClient('Search', { query: 'blue "fast car" -slow or green', topic, from: to, limit: 2 }),
  ofClient('Search', { query: 'lunch', with: to, limit: 2 }, 'With'),
  ofClient('Edit', { messageId, payload }),
  ofClient('Delete', { messageId }),
  ofClient('Ack', { topic, offset: 42 }),
  ofClient('Read', { topic, offset: 41 }),
  ofClient('DeliveryStatus', { messageId }),
];

const connected = {
  sessionId: formerId,
  resumeToken: 'q83vEjRWeJCrze8SNFZ4kA',
  resumeMs: 120_000,
  userId: from,
  tenant: 'default',
  node: 'n1',
  shard: 0,
  heartbeatMs: 30_000,
  maxMessageBytes: 65_536,
  serverVersion: '1.0.0',
};
const editId = '019b76da-a800-7000-8000-000000000002' as MessageId;

const serverGoldens = [
  reply('Connect', connected),
  reply('Connect', { ...connected, inbox: { offset: 7, epoch: 'k3f9' } }, 'Inbox'),
  reply('Auth', { expiresAt: timestamp + 3_600_000 }),
  reply('Subscribe', { topic, class: 'volatile', recovered: false }),
  reply('Subscribe', { topic, class: 'durable', offset: 42, epoch: 'k3f9', recovered: true }, 'Durable'),
  reply(
    'Subscribe',
    { topic, class: 'cached', offset: 42, epoch: 'k3f9', members: [busy], memberCount: 1 },
    'Presence',
  ),
  reply('Resume', {
    ...{ resumed: true, sessionId },
    topics: [
      { topic: inboxOfFrom, offset: 9, epoch: 'k3f9', recovered: true },
      { topic, offset: 42, epoch: 'k3f9', members: [busy], memberCount: 1, recovered: true },
      { topic: 'live:prices', recovered: false },
    ],
  }),
  reply('Unsubscribe', { topic }),
  reply('Message', { op: 'Broadcast', messageId, topic, offset: 42, epoch: 'k3f9', duplicate: true }),
  reply('History', {
    ...{ topic, epoch: 'k3f9', firstOffset: 1, lastOffset: 42, hasMore: true },
    messages: [{ id: messageId, offset: 41, from, event: 'said', priority: 'high', payload, timestamp }],
  }),
  reply(
    'History',
    {
      ...{ topic: inbox, with: from, epoch: 'k3f9', firstOffset: 3, lastOffset: 43, hasMore: false },
      messages: [
        { id: messageId, offset: 41, from, to, payload, timestamp, editedAt: timestamp + 1000 },
        { id: editId, offset: 43, from: to, to: from, payload: null, timestamp, deletedAt: timestamp + 2000 },
      ],
    },
    'With',
  ),
  reply('Search', {
    hasMore: false,
    messages: [
      {
        ...{ id: messageId, offset: 41, from, event: 'said', priority: 'high', payload, timestamp },
        ...{ editedAt: timestamp + 1000, topic, rank: 0.75 },
      },
    ],
  }),
  reply('Edit', { messageId, editedAt: timestamp + 1000, offset: 43, epoch: 'k3f9' }),
  reply('Delete', { messageId, deletedAt: timestamp + 2000, offset: 44, epoch: 'k3f9' }),
  reply('Mark', { op: 'Ack', topic, offset: 42 }),
  reply('DeliveryStatus', {
    messageId,
    recipients: [
      { user: to, delivered: true, read: true, at: timestamp + 3000 },
      { user: 'cat', delivered: true, read: false, at: timestamp + 1000 },
    ],
  }),
  reply('Typing', { topic }),
  reply('Typing', { to }, 'To'),
  reply('Presence', { status: 'busy' }),
  reply('PresenceList', { op: 'PresenceSubscribe', users: [busy, gone] }),
  reply('PresenceList', { op: 'PresenceUnsubscribe', users: [] }, 'Unsubscribe'),
  reply(
    'PresenceList',
    { op: 'PresenceQuery', topic, users: [busy], memberCount: 3, hasMore: true },
    'Topic',
  ),
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
  missed(
    { type: 'Broadcast', id: messageId, topic, offset: 42, from, payload: payloadOf(payload), timestamp },
    'Replay',
  ),
  published({
    type: 'DirectMessage',
    id: messageId,
    topic: inbox,
    from,
    to,
    event: 'said',
    priority: 'critical',
    payload: payloadOf(payload),
    timestamp,
  }),
  missed(
    {
      ...{ type: 'DirectMessage', id: messageId, topic: inbox, offset: 41, from, to },
      ...{ payload: payloadOf(payload), timestamp },
    },
    'Replay',
  ),
  published({
    ...{ type: 'Edited', id: editId, topic, offset: 43, from, target: messageId },
    ...{ payload: payloadOf(payload), timestamp },
  }),
  missed(
    {
      ...{ type: 'Edited', id: editId, topic, offset: 43, from, target: messageId },
      ...{ payload: payloadOf(payload), timestamp },
    },
    'Replay',
  ),
  published({
    ...{ type: 'Deleted', id: editId, topic, offset: 44, from, target: messageId },
    ...{ payload: payloadOf(null), timestamp },
  }),
  missed(
    {
      ...{ type: 'Deleted', id: messageId, topic, offset: 41, from, target: messageId },
      ...{ payload: payloadOf(null), timestamp },
    },
    'Replay',
  ),
  ofServer({ type: 'Receipt', data: { topic, user: to, kind: 'read', offset: 41 }, timestamp }),
  ofServer(
    { type: 'Receipt', data: { with: to, user: to, kind: 'delivered', offset: 41 }, timestamp },
    'With',
  ),
  ofServer({ type: 'Typing', data: { topic, user: to, active: true }, timestamp }),
  ofServer({ type: 'Typing', data: { from: to, user: to, active: false }, timestamp }, 'To'),
  ofServer({ type: 'Presence', data: { ...busy, event: 'change' }, timestamp }),
  ofServer({ type: 'Presence', data: { topic, ...gone, event: 'leave' }, timestamp }, 'Topic'),
  ofServer({ type: 'Presence', data: { topic, memberCount: 4711, event: 'change' }, timestamp }, 'Count'),
  ofServer({ type: 'System', data: { event: 'draining', reconnectAfterMs: 1500 }, timestamp }, 'Draining'),
  ofServer(
    { type: 'System', data: { event: 'token_expiring', expiresAt: timestamp + 30_000 }, timestamp },
    'TokenExpiring',
  ),
  ofServer(
    { type: 'System', data: { event: 'degraded', dependency: 'store', retryAfterMs: 2000 }, timestamp },
    'Degraded',
  ),
  ofServer({ type: 'System', data: { event: 'restored', dependency: 'store' }, timestamp }, 'Restored'),
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

/** A `Status`. `op` is the variant unless `data` says otherwise; `form` names one of several of a variant. */
function reply(variant: string, data: object, form?: string): Golden {
  const isAnswer = variant !== 'Connect' && variant !== 'Subscription';
  return ofServer(
    { type: 'Status', ...(isAnswer ? { id: 'c1' } : {}), data: { op: variant, ...data }, timestamp },
    form === undefined ? variant : `${variant}-${form}`,
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

/** As who comes back gets it. */
function missed(publication: Publication, variant: string): Golden {
  return published(publication, variant, true);
}

function published(publication: Publication, variant?: string, isReplay = false): Golden {
  return {
    name: nameOf('server', publication.type, variant),
    side: 'server',
    type: publication.type,
    encode: (encoding) => messageIn(encodePublication(publication, encoding, isReplay)),
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
