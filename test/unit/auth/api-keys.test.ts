/** API keys: which text is one, and what it may do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiKeyIdentity, isApiKey } from '../../../src/auth/api-keys.ts';
import { actions } from '../../../src/auth/permissions.ts';

const keys = ['first-key', 'second-key', 'third-key'];

test('each of the keys is one, wherever it stands in the list', () => {
  for (const key of keys) assert.equal(isApiKey(keys, key), true, key);
});

test('a key of the right length but wrong content is refused', () => {
  assert.equal(isApiKey(keys, 'first-kex'), false);
  assert.equal(isApiKey(keys, 'Xirst-key'), false);
});

test('a part of a key, a key and more, another case, two keys, and nothing are refused', () => {
  const wrong = [
    'first',
    'first-key ',
    ' first-key',
    'FIRST-KEY',
    'first-key,second-key',
    '',
    'first-key\u0000',
  ];
  for (const given of [...wrong, 'x'.repeat(1_000_000)]) assert.equal(isApiKey(keys, given), false);
});

test('without keys nothing is a key', () => {
  assert.equal(isApiKey([], ''), false);
  assert.equal(isApiKey([], 'first-key'), false);
});

test('an API key may do everything in the default tenant and does not expire', () => {
  const { permissions, tenant, expiresAtMs } = apiKeyIdentity;
  for (const action of actions) {
    for (const name of ['all', 'admin:audit', 'chat:a'])
      assert.equal(permissions.allows(action, name), true, action);
  }
  assert.deepEqual([tenant, expiresAtMs], ['default', Number.POSITIVE_INFINITY]);
});
