/** What mutation starts from: the golden messages, and frames that a hostile client would think of. */
import { createSigner } from 'fast-jwt';
import { Packr } from 'msgpackr';
import type { Encoding } from '#proto/envelope.ts';
import type { MessageId, SessionId, TopicName, UserId } from '#proto/names.ts';
import { goldens } from '../../scripts/golden.ts';
import type { SessionTold } from '../../src/presence/session-told.ts';
import { testSecret } from '../kit/test-server.ts';
import { bytes, nestedArrays, nestedMaps, pack, uint16, uint32 } from '../unit/wire/msgpack-bytes.ts';

/** The same bytes in every run, or a seed would not say what is sent. Expiry in seconds since the epoch. */
const [longAgo, farAway] = [1_000_000, 4_102_444_800];
const sign = createSigner({ key: testSecret, algorithm: 'HS256', noTimestamp: true });
function fixedToken(sub: string, exp: number): string {
  return sign({ sub, exp, roles: ['admin'] });
}

/** The user of the fuzzed session. */
const fuzzUser = 'ann';
export const fuzzToken = fixedToken(fuzzUser, farAway);

/** Messages that are stored before a session begins, by the fuzzed user. */
export const storedIds = Array.from(
  { length: 8 },
  (_, index) => `019b76da-a800-7000-8000-00000000000${index + 1}` as MessageId,
);

/** A session of the fuzzed user that was lost before this one began. */
export const lostSession = {
  user: fuzzUser as UserId,
  session: 'lost-1' as SessionId,
  resumeToken: 'lost-token-1',
  told: {
    presence: { status: 'busy', isIdle: false, device: { id: 'd1', kind: 'browser' }, meta: { mood: 'ok' } },
    watching: ['ben', 'cat'] as UserId[],
    inbox: { offset: 0, epoch: 'e1' },
    subscriptions: [
      {
        topic: 'chat:lobby' as TopicName,
        filter: '',
        isMember: true,
        position: { offset: 2, epoch: 'e1' },
      },
      { topic: 'live:a' as TopicName, filter: '{"event":"deploy"}', isMember: false },
      { topic: 'cache:a' as TopicName, filter: '', isMember: true },
    ],
  } satisfies SessionTold,
};

/** Good commands, said in both encodings: the ones that reach the handlers. */
export const commands: readonly object[] = [
  { type: 'Auth', id: 'a1', data: { token: fuzzToken } },
  { type: 'Auth', id: 'a2', data: { token: fixedToken('ben', farAway) } },
  { type: 'Auth', id: 'a3', data: { token: fixedToken(fuzzUser, longAgo) } },
  { type: 'Auth', data: { token: 'a.b.c' } },
  { type: 'Ping', id: 'p1', data: { at: 1, deep: [[[{ a: null }]]] } },
  { type: 'Ping' },
  { type: 'Subscribe', id: 's1', data: { topic: 'chat:lobby' } },
  { type: 'Subscribe', id: 's2', data: { topic: 'room/1', since: { offset: 3, epoch: 'e' } } },
  { type: 'Subscribe', id: 's3', data: { topic: 'inbox:ann' } },
  { type: 'Subscribe', id: 's6', data: { topic: 'inbox:ann', since: { offset: 0, epoch: 'e1' } } },
  { type: 'Subscribe', id: 's7', data: { topic: 'chat:lobby', since: { offset: 2, epoch: 'e1' } } },
  { type: 'Subscribe', id: 's8', data: { topic: 'cache:a', since: { offset: 1, epoch: 'e1' } } },
  { type: 'Subscribe', id: 's9', data: { topic: 'live:a' } },
  { type: 'Subscribe', id: 's4', data: { topic: 'sys:all' } },
  {
    type: 'Subscribe',
    id: 's5',
    data: {
      topic: 'news',
      filter: {
        event: 'deploy',
        priority: { gte: 'high', ne: 'critical' },
        'payload.region': { in: ['eu', 'us'], nin: ['x'] },
        'payload.n': { gt: 1, lt: 10, lte: 9 },
        'payload.text': { prefix: 'a', exists: true, eq: null },
      },
    },
  },
  { type: 'History', id: 'h1', data: { topic: 'chat:lobby' } },
  { type: 'History', id: 'h2', data: { topic: 'news', after: 3, before: 9, limit: 200 } },
  { type: 'History', id: 'h3', data: { topic: 'inbox:ben' } },
  { type: 'History', id: 'h4', data: { with: 'ben', limit: 10 } },
  { type: 'Search', id: 'f1', data: { query: 'hi -there or "a phrase"', topic: 'chat:lobby' } },
  { type: 'Search', id: 'f2', data: { query: 'hi', from: 'ann', limit: 3 } },
  { type: 'Search', id: 'f3', data: { query: 'hi', with: 'ben' } },
  { type: 'Search', id: 'f4', data: { query: '-"' } },
  ...storedIds
    .slice(0, 2)
    .map((messageId) => ({ type: 'Edit', id: 'e1', data: { messageId, payload: [1] } })),
  { type: 'Edit', id: 'e2', data: { messageId: storedIds[7], payload: { text: 'x'.repeat(300) } } },
  ...storedIds.map((messageId, index) => ({ type: 'Delete', id: `t${index}`, data: { messageId } })),
  { type: 'Ack', id: 'k1', data: { topic: 'chat:lobby', offset: 3 } },
  { type: 'Ack', id: 'k2', data: { topic: 'inbox:ann', offset: 1 } },
  { type: 'Ack', id: 'k3', data: { topic: 'live:a', offset: 1 } },
  { type: 'Read', id: 'r1', data: { topic: 'chat:lobby', offset: 2 } },
  { type: 'Read', id: 'r2', data: { topic: 'chat:lobby', offset: 2 ** 31 } },
  { type: 'DeliveryStatus', id: 'y1', data: { messageId: storedIds[0] } },
  { type: 'DeliveryStatus', id: 'y2', data: { messageId: '019b76da-a800-7000-8000-0000000000ff' } },
  {
    type: 'Resume',
    id: 'w1',
    data: { sessionId: lostSession.session, resumeToken: lostSession.resumeToken },
  },
  {
    type: 'Resume',
    data: {
      sessionId: lostSession.session,
      resumeToken: lostSession.resumeToken,
      positions: { 'chat:lobby': { offset: 3, epoch: 'e1' }, 'inbox:ann': { offset: 0, epoch: 'e1' } },
    },
  },
  { type: 'Resume', id: 'w2', data: { sessionId: 's-1', resumeToken: 'wrong' } },
  { type: 'Subscribe', id: 's10', data: { topic: 'room/2', presence: true } },
  {
    type: 'Subscribe',
    id: 's11',
    data: { topic: 'chat:lobby', presence: true, since: { offset: 2, epoch: 'e1' }, filter: { event: 'x' } },
  },
  { type: 'Typing', id: 'i1', data: { topic: 'chat:lobby', active: true } },
  { type: 'Typing', data: { topic: 'chat:lobby', active: false } },
  { type: 'Typing', id: 'i2', data: { to: 'ann', active: true } },
  { type: 'Typing', id: 'i3', data: { topic: 'chat:lobby', to: 'ben', active: true } },
  { type: 'Presence', id: 'o1', data: { status: 'busy' } },
  {
    type: 'Presence',
    id: 'o2',
    data: {
      status: 'invisible',
      device: { id: 'd1', kind: 'mobile', platform: 'ios' },
      meta: { note: 'x'.repeat(300), deep: { a: [1, null] } },
    },
  },
  { type: 'Presence', data: { status: 'online', meta: { note: 'x'.repeat(1100) } } },
  { type: 'PresenceSubscribe', id: 'v1', data: { users: ['ann', 'ben', 'cat', 'ben'] } },
  { type: 'PresenceUnsubscribe', id: 'v2', data: { users: ['ben', 'dan'] } },
  { type: 'PresenceQuery', id: 'q1', data: { users: ['ann', 'eve@example.com'] } },
  { type: 'PresenceQuery', id: 'q2', data: { topic: 'chat:lobby', after: 'abe', limit: 1 } },
  { type: 'PresenceQuery', id: 'q3', data: { topic: 'chat:lobby', users: ['ann'] } },
  { type: 'Unsubscribe', id: 'u1', data: { topic: 'chat:lobby' } },
  { type: 'Broadcast', id: 'b1', data: { topic: 'chat:lobby', payload: { text: 'hi', n: 5 } } },
  {
    type: 'Broadcast',
    data: { topic: 'news', payload: { region: 'eu', n: 5 }, event: 'deploy', priority: 'high' },
  },
  {
    type: 'Broadcast',
    id: 'b2',
    data: { topic: 'news', payload: 'x'.repeat(300), key: 'k', ttlMs: 1, priority: 'low' },
  },
  { type: 'Broadcast', id: 'b5', data: { topic: 'cache:a', payload: 1 } },
  { type: 'Broadcast', id: 'b6', data: { topic: 'live:a', payload: 2, key: 'k3' } },
  { type: 'Broadcast', id: 'b3', data: { payload: [1, 2, 3] } },
  { type: 'Broadcast', id: 'b4', data: { topic: 'sys:all', payload: 1 } },
  {
    type: 'DirectMessage',
    id: 'd1',
    data: { to: 'ann', payload: { a: 1 }, event: 'e', priority: 'critical' },
  },
  { type: 'DirectMessage', data: { to: 'ben@example.com', payload: null, key: 'k2' } },
  { type: 'Nope', id: 'n1', data: {} },
  { type: 'constructor', id: 'n2', data: { constructor: { prototype: { polluted: 1 } } } },
];

/** Values for any place of a command. */
export const hostileValues: readonly unknown[] = [
  null,
  true,
  0,
  -0,
  -1,
  0.1,
  2 ** 31,
  2 ** 53 - 1,
  -(2 ** 53 - 1),
  1e308,
  '',
  ' ',
  '\u0000',
  'a|b',
  '__proto__',
  'constructor',
  '😀'.repeat(40),
  '\u202e\u0301',
  'x'.repeat(129),
  'inbox:ben',
  'sys:all',
  'chat:lobby',
  '*',
  [],
  {},
  [[]],
  [null],
  { toString: 1, valueOf: 1, hasOwnProperty: 1 },
  { constructor: 0, toJSON: 1 },
  { constructor: { name: 'Map' }, size: -1, buffer: 1, byteLength: 5 },
  { constructor: { prototype: { polluted: 1 } } },
  { length: 2 ** 31, 0: 1 },
  { eq: {}, in: [[]], gt: null },
  { data: { data: {} }, filter: { filter: {} } },
  Array.from({ length: 70 }, (_, index) => index),
  Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, index])),
];

/** Names for new fields. */
export const hostileKeys: readonly string[] = [
  ...[
    '',
    'type',
    'id',
    'data',
    'timestamp',
    'topic',
    'to',
    'from',
    'payload',
    'event',
    'priority',
    'ttlMs',
    'key',
    'presence',
    'users',
    'active',
    'status',
    'device',
    'meta',
  ],
  ...[
    'since',
    'positions',
    'sessionId',
    'resumeToken',
    'after',
    'limit',
    'messageId',
    'query',
    'with',
    'filter',
    'token',
    'offset',
    'epoch',
    'constructor',
    'prototype',
    'toString',
    'toJSON',
    'hasOwnProperty',
  ],
  ...['length', '__defineGetter__', 'then', '0', 'payload.a.b', 'a.__proto__.b', 'x'.repeat(300)],
];

const handmadeJson = [
  '',
  '[]',
  '[[]]',
  'null',
  '"text"',
  '1e999',
  '{"type":"Ping","data":{"__proto__":{"polluted":1}}}',
  '{"type":"Ping","data":{"\\u005f_proto__":{"polluted":1}}}',
  '{"__proto__":{"type":"Ping"},"type":"Ping"}',
  '{"type":"Broadcast","id":"x","data":{"topic":"a","payload":1e999}}',
  '{"type":"Ping","id":"x","type":"Nope"}',
  '\ufeff{"type":"Ping"}',
  '['.repeat(2000),
  `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`,
  `[${Array.from({ length: 65 }, () => '{"type":"Ping"}').join()}]`,
  `{"type":"Broadcast","data":{"topic":"a","payload":"${'\\u0000'.repeat(2000)}"}}`,
];

const handmadeMsgpack = [
  bytes(),
  bytes(0xc1),
  bytes(0xd4, 0x72, 0x40, 0x93, 0xa1, 'a', 0xa1, 'b', 0xa1, 'c', 1, 2, 3),
  bytes(0xd6, 0x69, uint32(0), 0x92, 0xd6, 0x70, uint32(0), 0xd6, 0x70, uint32(0)),
  bytes(0xdd, uint32(0x01c9c380)),
  bytes(0xdf, uint32(2 ** 31), 0xa4, 'type', 0xa4, 'Ping'),
  bytes(0xc9, uint32(2 ** 32 - 1), 1),
  bytes(0x82, pack('type'), pack('Ping'), pack('data'), 0x81, pack('__proto__'), 0x81, pack('polluted'), 1),
  bytes(
    0x82,
    pack('type'),
    pack('Ping'),
    pack('data'),
    0x81,
    0xaa,
    '__proto_',
    0xc1,
    0x9f,
    0x81,
    pack('polluted'),
    1,
  ),
  bytes(0x82, pack('type'), pack('Ping'), pack('data'), 0xc4, 3, 1, 2, 3),
  bytes(
    0x82,
    pack('type'),
    pack('Broadcast'),
    pack('data'),
    0x82,
    pack('topic'),
    pack('a'),
    pack('payload'),
    0xc5,
    uint16(300),
    Buffer.alloc(300),
  ),
  bytes(0x81, 0xdb, uint32(4), 'type', 0xa4, 'Ping'),
  bytes(0x82, pack('type'), pack('Ping'), pack('id'), 0xa3, 0xff, 0xfe, 0xfd),
  bytes(0x82, pack('type'), pack('Ping'), pack('id'), 0xa3, 0xed, 0xa0, 0x80),
  nestedArrays(17),
  nestedMaps(300),
  Buffer.alloc(5000, 0x91),
  new Packr({ useRecords: true }).pack(commands[0]),
  new Packr({ structuredClone: true, moreTypes: true }).pack([
    new Set([1]),
    new Map(),
    /x/,
    new Error('x'),
    new Date(0),
  ]),
  pack(Array.from({ length: 65 }, () => ({ type: 'Ping' }))),
];

/** Whole frames of one encoding; golden messages of the server among them, said by a client. */
export function corpusOf(encoding: Encoding): readonly Buffer[] {
  const isJson = encoding === 'json';
  return [
    ...goldens.map((golden) => golden.encode(encoding)),
    ...[...commands, commands.slice(0, 12), commands].map((value) =>
      isJson ? Buffer.from(JSON.stringify(value)) : pack(value),
    ),
    ...(isJson ? handmadeJson.map((text) => Buffer.from(text)) : handmadeMsgpack),
  ];
}
