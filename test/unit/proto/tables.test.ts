/** The tables of the contract: codes, limits, names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeCodes } from '#proto/close-codes.ts';
import { clientData, isClientType } from '#proto/data.ts';
import { bearerSubprotocolPrefix, encodings, subprotocols } from '#proto/envelope.ts';
import { errorCodes, refusal } from '#proto/error-codes.ts';
import { closeReasonBytesMax, topicCharsMax, userIdCharsMax } from '#proto/limits.ts';
import {
  everyoneTopic,
  isReservedTopic,
  type Tenant,
  type TopicName,
  tenantPattern,
  topicKey,
  topicOfKey,
  topicPattern,
  type UserId,
  userIdPattern,
  userKey,
  userOfKey,
} from '#proto/names.ts';
import { recordHeader, recordKinds } from '#proto/record.ts';
import type { TSchema } from '#proto/schema.ts';
import { serverData } from '#proto/server-data.ts';

const topicForm = new RegExp(topicPattern);
const userIdForm = new RegExp(userIdPattern);
const closeRows = Object.entries(closeCodes);
const errorRows = Object.entries(errorCodes);

test('close codes are unique, and each says when it is sent', () => {
  assert.equal(new Set(closeRows.map(([, row]) => row.code)).size, closeRows.length);
  for (const [name, row] of closeRows) assert.ok(row.when.length > 0, name);
});

test('the range of a close code says whether to reconnect: 4000 to 4499 yes, 4500 to 4999 no', () => {
  for (const [name, { code, reconnect }] of closeRows) {
    if (code >= 4000) assert.equal(reconnect, code < 4500, `${name} ${code}`);
    else assert.equal(reconnect, false, `${name}: the codes of RFC 6455 are final`);
  }
});

test('codes are private, or those of RFC 6455 that an endpoint may send', () => {
  for (const [name, { code }] of closeRows) {
    assert.ok((code >= 4000 && code <= 4999) || [1002, 1003, 1007, 1009].includes(code), `${name} ${code}`);
  }
});

test('a close reason is the name of its row and fits a control frame', () => {
  for (const [name, { reason }] of closeRows) {
    assert.equal(reason, name);
    assert.ok(Buffer.byteLength(reason) <= closeReasonBytesMax, reason);
  }
});

test('error codes are snake_case and carry an error status; what may be retried is not the fault of the client', () => {
  for (const [code, { retryable, status, when }] of errorRows) {
    assert.match(code, /^[a-z]+(_[a-z]+)*$/);
    assert.ok(status >= 400 && status <= 599, `${code} ${status}`);
    assert.equal(retryable, status === 429 || status >= 500, `${code} ${status}`);
    assert.ok(when.length > 0, code);
  }
});

test('a refusal has retryAfterMs only when it was given', () => {
  assert.deepEqual(refusal('busy', 'full'), { code: 'busy', message: 'full' });
  assert.deepEqual(refusal('busy', 'full', 0), { code: 'busy', message: 'full', retryAfterMs: 0 });
});

test('each encoding has its subprotocol, and none looks like a token', () => {
  assert.deepEqual(Object.keys(subprotocols).sort(), [...encodings].sort());
  for (const name of Object.values(subprotocols)) {
    assert.match(name, /^carillon\.v1\.[a-z]+$/);
    assert.ok(!name.startsWith(bearerSubprotocolPrefix));
  }
});

test('every type and every field of the wire is described', () => {
  const undescribed: string[] = [];
  const visit = (schema: TSchema & Record<string, unknown>, path: string): void => {
    if (schema['description'] === undefined) undescribed.push(path);
    const { properties = {}, anyOf = [] } = schema as {
      properties?: Record<string, TSchema>;
      anyOf?: TSchema[];
    };
    for (const [name, field] of Object.entries(properties))
      visit(field as TSchema & Record<string, unknown>, `${path}.${name}`);
    for (const [index, arm] of anyOf.entries())
      if ('properties' in arm) visit(arm as TSchema & Record<string, unknown>, `${path}|${index}`);
  };
  for (const [type, schema] of [...Object.entries(clientData), ...Object.entries(serverData)])
    visit(schema as never, type);
  assert.deepEqual(undescribed, []);
});

test('types are PascalCase, and only those of the table are client types', () => {
  for (const type of [...Object.keys(clientData), ...Object.keys(serverData)])
    assert.match(type, /^([A-Z][a-z]+)+$/);
  for (const type of Object.keys(clientData)) assert.ok(isClientType(type));
  for (const type of ['', 'Status', 'auth', 'constructor', '__proto__', 'toString'])
    assert.ok(!isClientType(type), type);
});

test('topic names: letters, digits and _ . : @ / - up to 128 characters', () => {
  for (const name of ['a', 'chat:lobby', 'A9_.:@/-', 't'.repeat(topicCharsMax)])
    assert.ok(topicForm.test(name), name);
  for (const name of ['', 'a b', 'a|b', 'a*', 'ü', 'a\n', '\na', 'a\u0000', 't'.repeat(topicCharsMax + 1)]) {
    assert.ok(!topicForm.test(name), JSON.stringify(name));
  }
});

test('user ids: letters, digits and _ . @ - up to 64 characters', () => {
  for (const id of ['a', 'ann@example.com', 'A9_.-', 'u'.repeat(userIdCharsMax)])
    assert.ok(userIdForm.test(id), id);
  for (const id of ['', 'a:b', 'a/b', 'a|b', 'a b', 'é', 'a\n', 'u'.repeat(userIdCharsMax + 1)]) {
    assert.ok(!userIdForm.test(id), JSON.stringify(id));
  }
});

test('only inbox: and sys: belong to the server, as prefixes', () => {
  for (const name of ['inbox:ann', 'inbox:', 'sys:all', everyoneTopic])
    assert.ok(isReservedTopic(name as TopicName), name);
  for (const name of ['inbox', 'sys', 'Inbox:a', 'chat:inbox:a', 'system:a', 'a/sys:all']) {
    assert.ok(!isReservedTopic(name as TopicName), name);
  }
});

test('a key is taken apart into what it was made of, and two pairs never share one', () => {
  const tenants = ['default', 'a.b', 'a'] as Tenant[];
  const topics = ['x', 'b:x', 'inbox:ann', 'a/b'] as TopicName[];
  const users = ['ann', 'ann@example.com'] as UserId[];
  const keys = new Set<string>();
  for (const tenant of tenants) {
    for (const topic of topics) {
      assert.equal(topicOfKey(topicKey(tenant, topic)), topic);
      keys.add(topicKey(tenant, topic));
    }
    for (const user of users) assert.equal(userOfKey(userKey(tenant, user)), user);
  }
  assert.equal(keys.size, tenants.length * topics.length);
  assert.ok(!new RegExp(tenantPattern).test('a|b'), 'no tenant has the separator');
});

test('record kinds are distinct bytes, and the header has room for its fields', () => {
  const kinds = Object.values(recordKinds);
  assert.equal(new Set(kinds).size, kinds.length);
  for (const kind of kinds) assert.ok(kind >= 1 && kind <= 255);
  const { kindOffset, flagsOffset, fromShardOffset, correlationOffset, writtenAtMsOffset, bytes } =
    recordHeader;
  const fields = [
    [kindOffset, 1],
    [flagsOffset, 1],
    [fromShardOffset, 2],
    [correlationOffset, 4],
    [writtenAtMsOffset, 8],
  ] as const;
  let end = 0;
  for (const [offset, width] of fields) {
    assert.ok(offset >= end && offset % width === 0, `offset ${offset} of ${width} bytes`);
    end = offset + width;
  }
  assert.equal(bytes, end);
});
