/** Messages and answers as the bodies of records: there and back, over real msgpack. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Priority } from '#proto/data.ts';
import { refusal } from '#proto/error-codes.ts';
import type { MessageId, UserId } from '#proto/names.ts';
import type { PublicationBody, RecordBodies } from '#proto/record.ts';
import { packMsgpack, unpackMsgpack } from '../../../src/wire/codec.ts';
import {
  type Answer,
  answerFromBody,
  answerToBody,
  type Message,
  messageFromBody,
  messageToBody,
  refused,
} from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';

/** As a record carries it between threads. */
const overTheRing = <Body>(body: Body): Body => unpackMsgpack(packMsgpack(body)) as Body;

test('a message keeps every combination of its optional fields', () => {
  const optional = { event: 'deploy', priority: 'high' as Priority, ttlMs: 5000, key: 'k1' };
  const names = Object.keys(optional) as (keyof typeof optional)[];
  for (let mask = 0; mask < 2 ** names.length; mask++) {
    const chosen = Object.fromEntries(
      names.filter((_, bit) => mask & (1 << bit)).map((name) => [name, optional[name]]),
    );
    const message: Message = { from: 'ann' as UserId, payload: Payload.ofValue({ text: 'hi' }), ...chosen };
    const { payload, ...rest } = messageFromBody(overTheRing<PublicationBody>(messageToBody(message)));
    const absent = { event: undefined, priority: undefined, ttlMs: undefined, key: undefined };
    assert.deepEqual(rest, { from: 'ann', ...absent, ...chosen });
    assert.deepEqual(payload.value, { text: 'hi' });
  }
});

test('the payload crosses as the bytes that it is, not decoded in between', () => {
  const payload = Payload.ofValue({ bin: Buffer.from([1, 2, 3]), text: 'ü' });
  const body = messageToBody({ from: 'ann' as UserId, payload });
  assert.equal(body[1], payload.msgpack);
  const received = messageFromBody(overTheRing<PublicationBody>(body));
  assert.ok(Buffer.from(received.payload.msgpack).equals(payload.msgpack));
});

test('every answer comes back as it was given', () => {
  const answers: Answer[] = [
    { ok: true },
    { ok: true, messageId: '01976b3a-0000-7000-8000-000000000001' as MessageId, isDuplicate: false },
    { ok: true, messageId: '01976b3a-0000-7000-8000-000000000001' as MessageId, isDuplicate: true },
    refused(refusal('permission_denied', 'the token lacks publish:a')),
    refused(refusal('busy', 'full', 1500)),
    refused(refusal('rate_limited', '', 0)),
  ];
  for (const answer of answers) {
    assert.deepEqual(answerFromBody(overTheRing<RecordBodies['answer']>(answerToBody(answer))), answer);
  }
});

test('an accepted message that does not say so is no duplicate', () => {
  const body = answerToBody({ ok: true, messageId: 'm' as MessageId });
  assert.deepEqual(answerFromBody(overTheRing<RecordBodies['answer']>(body)), {
    ok: true,
    messageId: 'm',
    isDuplicate: false,
  });
});
