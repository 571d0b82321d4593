/** Frames that are arrays of things that are no envelopes: one refusal for all that cannot be answered one by one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Encoding, encodings } from '#proto/envelope.ts';
import { type Decoded, decodeFrame } from '../../../src/wire/decode-frame.ts';
import { pack } from './msgpack-bytes.ts';

function decode(value: unknown, encoding: Encoding): Decoded[] {
  return decodeFrame(encoding === 'json' ? Buffer.from(JSON.stringify(value)) : pack(value), encoding);
}

/** What each entry is: an envelope's type, or the id of a refusal; `?` where it has none. */
function shapes(decoded: Decoded[]): string[] {
  return decoded.map((entry) =>
    entry.ok ? entry.envelope.type : `${entry.isEnvelope ? 'refused ' : 'junk '}${entry.id ?? '?'}`,
  );
}

const ping = { type: 'Ping' };
const frames: [name: string, frame: unknown[], expected: string[]][] = [
  ['things of every kind', [1, 'x', null, true, {}, [], 1.5], ['junk ?']],
  ['as many as a frame holds', Array.from({ length: 64 }, () => 0), ['junk ?']],
  ['envelopes without a type', [{ data: {} }, { data: { a: 1 } }], ['junk ?']],
  ['ids that are none', [{ id: 5 }, { id: '' }, { id: null }, { id: 'i'.repeat(65) }], ['junk ?']],
  ['each with an id', [{ id: 'a' }, { id: 'b' }, { id: 'a' }], ['junk a', 'junk b', 'junk a']],
  ['some with an id', [1, { id: 'a' }, 2, { id: 'b' }, 3], ['junk ?', 'junk a', 'junk b']],
  ['beside envelopes', [1, ping, 2, { type: 'Nope', id: 'n' }, 3], ['junk ?', 'Ping', 'refused n']],
  ['behind envelopes', [ping, { id: 'a' }, ping, 1, 2], ['Ping', 'junk a', 'Ping', 'junk ?']],
  [
    'envelopes that are refused are no junk, without an id too',
    [{ type: 'Nope' }, { type: 'Nope' }, { type: 'Subscribe', data: {} }],
    ['refused ?', 'refused ?', 'refused ?'],
  ],
];

for (const encoding of encodings) {
  for (const [name, frame, expected] of frames) {
    test(`[SES4] an array of things that are no envelopes, ${name}, in ${encoding}`, () => {
      assert.deepEqual(shapes(decode(frame, encoding)), expected);
    });
  }

  test(`the one refusal of all says what is wrong with the first, in ${encoding}`, () => {
    const [refused] = decode([{ type: 7 }, 1, 2], encoding);
    assert.ok(refused !== undefined && !refused.ok);
    assert.equal(refused.refusal.code, 'bad_request');
    assert.match(refused.refusal.message, /^type must be string$/);
  });
}
