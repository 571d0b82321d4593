/** A line of an archive is what was stored, byte by byte, and people can read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeLine, encodeLine, fingerprintOf } from '../../../src/store/archive-lines.ts';
import type { StoredMessage } from '../../../src/store/history-store.ts';
import { packMsgpack } from '../../../src/wire/codec.ts';
import { ann, ben, idOf, startMs, topic } from '../../contract/entries.ts';

const place = topic('chat:a', 'acme');

function message(fields: Partial<StoredMessage> = {}): StoredMessage {
  return {
    ...{ kind: 'message', offset: 7, messageId: idOf(1), from: ann, peer: undefined, target: undefined },
    ...{ event: undefined, priority: undefined, payload: packMsgpack('hi'), timestampMs: startMs },
    ...{ editedAtMs: undefined, deletedAtMs: undefined },
    ...fields,
  };
}

function back(given: StoredMessage): StoredMessage {
  const read = decodeLine(encodeLine(place, given));
  return { ...read, payload: new Uint8Array(read.payload) };
}

function payloadBack(payload: Uint8Array): string {
  return Buffer.from(back(message({ payload })).payload).toString('hex');
}

test('a line is JSON with the names of the protocol', () => {
  const payload = packMsgpack({ text: 'hi', icon: Uint8Array.of(1, 2) });
  const line = encodeLine(
    place,
    message({ payload, event: 'note', priority: 'high', editedAtMs: startMs + 1 }),
  );
  assert.ok(!line.includes('\n'));
  assert.deepEqual(JSON.parse(line), {
    ...{ tenant: 'acme', topic: 'chat:a', offset: 7, kind: 'message', id: idOf(1), from: 'ann' },
    ...{ event: 'note', priority: 'high', timestamp: startMs, editedAt: startMs + 1 },
    payload: { text: 'hi', icon: { $bin: 'AQI=' } },
  });
});

test('every field comes back', () => {
  const full = message({
    ...{ kind: 'edited', peer: ben, target: idOf(2), event: 'a\u0000\n"', priority: 'low' },
    ...{ editedAtMs: 1, deletedAtMs: 2 },
  });
  for (const given of [message(), full]) {
    assert.deepEqual(back(given), { ...given, payload: new Uint8Array(given.payload) });
  }
});

test('any JSON value comes back as the same bytes', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const payload = packMsgpack(value);
      return payloadBack(payload) === Buffer.from(payload).toString('hex');
    }),
  );
});

test('what JSON cannot say exactly comes back all the same', () => {
  const odd = [
    ...[
      'cb8000000000000000',
      'ca3fc00000',
      'cd0001',
      'd30000000000000001',
      'd90161',
      'dc0001c0',
      'de0001a161c0',
    ],
    ...[
      '82a16201a13102',
      '81a42462696ea0',
      '81a42462696ea3594e4a',
      'c403010203',
      '92c40101c40102',
      'a2c328',
      'c0',
    ],
    ...['82a16101a16102', 'cf001fffffffffffff', 'cb7fefffffffffffff'],
  ];
  for (const hex of odd) assert.equal(payloadBack(Buffer.from(hex, 'hex')), hex, hex);
  const plain = JSON.parse(
    encodeLine(place, message({ payload: Buffer.from('c403010203', 'hex') })),
  ) as object;
  assert.ok(!('msgpack' in plain), 'bytes alone need no second form');
});

test('a fingerprint tells a change of any content', () => {
  const given = [message(), message({ offset: 8 })];
  const [first, second] = given as [StoredMessage, StoredMessage];
  const others = [
    [first],
    [second, first],
    [first, { ...second, payload: packMsgpack('ho') }],
    [first, { ...second, editedAtMs: 1 }],
    [first, { ...second, deletedAtMs: 1 }],
    [first, { ...second, event: 'e' }],
  ];
  const all = [given, ...others].map(fingerprintOf);
  assert.equal(new Set(all).size, all.length);
  assert.equal(fingerprintOf(structuredClone(given)), all[0]);
});
