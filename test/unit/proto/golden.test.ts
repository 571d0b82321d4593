/** The golden messages: what is committed is what the server takes and sends, byte for byte. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Unpackr } from 'msgpackr';
import { clientData } from '#proto/data.ts';
import { type Encoding, encodings } from '#proto/envelope.ts';
import type { MessageId, TopicName, UserId } from '#proto/names.ts';
import { compileValidator, type TSchema, type Validator } from '#proto/schema.ts';
import { type ServerType, serverData } from '#proto/server-data.ts';
import { type Golden, goldenFiles, goldenFolder, goldens, messageIn } from '../../../scripts/golden.ts';
import { decodeFrame } from '../../../src/wire/decode-frame.ts';
import { encodeEnvelope, encodePublication, type Publication } from '../../../src/wire/encode-frame.ts';
import { Payload } from '../../../src/wire/payload.ts';

interface ServerEnvelope {
  type: ServerType;
  id?: string;
  data: Record<string, unknown>;
  timestamp: number;
}

const unpackr = new Unpackr({ useRecords: false });
const ofSide = (side: Golden['side']) => goldens.filter((golden) => golden.side === side);
const validators = Object.fromEntries(
  Object.entries(serverData).map(([type, schema]) => [type, compileValidator(schema as TSchema)]),
) as Record<ServerType, Validator<unknown>>;

/** The bytes of the message in a committed file. */
function committed(name: string, encoding: Encoding): Buffer {
  const file = new URL(encoding === 'json' ? `${name}.json` : `${name}.msgpack.hex`, goldenFolder);
  const text = readFileSync(file, 'utf8');
  assert.ok(text.endsWith('\n'), `${name} ends with a newline, which is no part of the message`);
  return encoding === 'json' ? Buffer.from(text.slice(0, -1)) : Buffer.from(text.replaceAll('\n', ''), 'hex');
}

/** As a client would read it. */
function read(name: string, encoding: Encoding): ServerEnvelope {
  const message = committed(name, encoding);
  return (encoding === 'json' ? JSON.parse(message.toString()) : unpackr.unpack(message)) as ServerEnvelope;
}

test('the committed files are those that scripts/golden.ts writes: none missing, none left over, none changed', () => {
  const expected = goldenFiles();
  assert.deepEqual(readdirSync(goldenFolder).sort(), [...expected.keys()].sort());
  for (const [name, text] of expected) {
    assert.equal(readFileSync(new URL(name, goldenFolder), 'utf8'), text, `${name}: run scripts/golden.ts`);
  }
});

test('every type has its files, every Status one per variant', () => {
  const names = new Set(goldens.map(({ name }) => name));
  assert.equal(names.size, goldens.length);
  for (const type of Object.keys(clientData)) assert.ok(names.has(`client-${type}`), type);
  const serverNames = Object.keys(serverData).filter((type) => type !== 'Status' && type !== 'System');
  for (const type of serverNames) assert.ok(names.has(`server-${type}`), type);
  const statusArms = serverData.Status.anyOf as { title?: string }[];
  const variants = statusArms.map(({ title }) => `server-${title?.replace('Status', 'Status-')}`);
  const statuses = [...names].filter((name) => name.startsWith('server-Status-'));
  const withoutForm = statuses.map((name) => name.split('-').slice(0, 3).join('-'));
  assert.deepEqual([...new Set(withoutForm)].sort(), variants.sort());
  for (const variant of variants) assert.ok(names.has(variant), variant);
  const events = serverData.System.properties.event.anyOf.map((arm) => arm.const);
  const told = [...names].filter((name) => name.startsWith('server-System-'));
  assert.deepEqual(told.map((name) => read(name, 'json').data['event']).sort(), [...events].sort());
});

for (const golden of ofSide('client')) {
  test(`${golden.name} is taken, and is the same in both encodings`, () => {
    const [json] = decodeFrame(committed(golden.name, 'json'), 'json');
    const [msgpack] = decodeFrame(committed(golden.name, 'msgpack'), 'msgpack');
    assert.ok(json?.ok, JSON.stringify(json));
    assert.equal(json.envelope.type, golden.type);
    assert.deepEqual(json, msgpack);
    assert.deepEqual(json.envelope, JSON.parse(committed(golden.name, 'json').toString()));
  });
}

test('the server goldens use every field of every schema', () => {
  for (const [type, schema] of Object.entries(serverData)) {
    const arms = 'anyOf' in schema ? schema.anyOf : [schema];
    for (const arm of arms as unknown as { title: string; properties: object }[]) {
      const prefix = `server-${arm.title.replace(/^Status/, 'Status-')}`;
      const names = ofSide('server').flatMap(({ name }) => (name.startsWith(prefix) ? name : []));
      const used = new Set(names.flatMap((name) => Object.keys(read(name, 'json').data)));
      for (const field of Object.keys(arm.properties))
        assert.ok(used.has(field), `${type} ${prefix} ${field}`);
    }
  }
});

test('the client goldens use every field of every schema', () => {
  for (const [type, schema] of Object.entries(clientData)) {
    const names = ofSide('client').flatMap((golden) => (golden.type === type ? golden.name : []));
    const used = new Set(names.flatMap((name) => Object.keys(read(name, 'json').data)));
    for (const field of Object.keys(schema.properties)) assert.ok(used.has(field), `${type}.${field}`);
  }
});

for (const golden of ofSide('server')) {
  test(`${golden.name} fits its schema in both encodings`, () => {
    for (const encoding of encodings) {
      const envelope = read(golden.name, encoding);
      assert.equal(envelope.type, golden.type);
      assert.equal(envelope.timestamp, 1_767_225_600_000);
      const validator = validators[envelope.type];
      if (!validator.check(envelope.data)) assert.fail(JSON.stringify(validator.firstError(envelope.data)));
    }
  });

  test(`${golden.name}, read and encoded again, is byte for byte the committed message`, () => {
    for (const encoding of encodings) {
      const message = committed(golden.name, encoding);
      assert.ok(encodedAgain(read(golden.name, encoding), encoding).equals(message), encoding);
    }
  });

  test(`${golden.name} says the same in both encodings, bin being base64 in JSON`, () => {
    const { data, ...rest } = read(golden.name, 'msgpack');
    const inJson = JSON.parse(Payload.ofValue(data).json) as object;
    assert.deepEqual({ ...rest, data: inJson }, read(golden.name, 'json'));
  });
}

interface PublishedData {
  payload: unknown;
  from?: UserId;
  by?: UserId;
  messageId?: MessageId;
  topic?: TopicName;
  replay?: true;
}

function isPublished(type: ServerType): type is Publication['type'] {
  return ['Broadcast', 'DirectMessage', 'Edited', 'Deleted'].includes(type);
}

function encodedAgain(envelope: ServerEnvelope, encoding: Encoding): Buffer {
  const { type, id, data, timestamp } = envelope;
  if (!isPublished(type)) return messageIn(encodeEnvelope(envelope, encoding));
  const { payload, from, by, messageId, replay, ...fields } = data as unknown as PublishedData;
  const publication = {
    ...{ type, id: id as MessageId, from: (by ?? from) as UserId, target: messageId },
    ...{ ...fields, payload: Payload.ofValue(payload), timestamp },
  };
  return messageIn(encodePublication(publication, encoding, replay));
}
