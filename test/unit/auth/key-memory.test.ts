/** What a thread learned of an identity provider's keys outlives it: its successor starts with it. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type KeyMemory, type KeySet, openKeySet } from '../../../src/auth/key-set.ts';
import { createTokenVerifier } from '../../../src/auth/verify-token.ts';
import { eventually } from '../../kit/eventually.ts';
import { claimsWith, jwt, keySettings } from './jwt-by-hand.ts';

const [first, second] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];

function setOf(kid: string, { publicKey }: { publicKey: KeyObject }): string {
  return JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] });
}

function isGood(keys: KeySet, kid: string, { privateKey }: { privateKey: KeyObject }): boolean {
  return createTokenVerifier(keys, {}).verify(jwt({ alg: 'EdDSA', kid }, claimsWith(), privateKey)).ok;
}

/** `answer` undefined: it hangs up. */
async function openProvider(t: TestContext, answer: string | undefined) {
  const provider = { url: '', answer, requests: 0 };
  const server = createServer((_request, response) => {
    provider.requests++;
    if (provider.answer === undefined) response.destroy();
    else response.end(provider.answer);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  return provider;
}

function memoryWith(known: string | undefined): KeyMemory & { loaded: string[] } {
  const loaded: string[] = [];
  return { known, loaded, onLoaded: (jwks) => void loaded.push(jwks) };
}

/** The same process, half a minute and more later: an unknown kid may ask the provider again. */
function laterOn(t: TestContext): void {
  const now = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => now() + 31_000);
}

test('a set that was loaded is told as the text that it came as, also after every later load', async (t) => {
  const text = setOf('k1', first).replace('{', '{ ');
  const provider = await openProvider(t, text);
  const memory = memoryWith(undefined);
  const keys = openKeySet(keySettings({ jwtJwksUrl: provider.url }), undefined, memory);
  await keys.open();
  assert.deepEqual(memory.loaded, [text]);
  provider.answer = setOf('k2', second);
  laterOn(t);
  assert.equal(isGood(keys, 'k2', second), false, 'not yet');
  await eventually('the second load', () => memory.loaded.length === 2);
  assert.equal(memory.loaded[1], provider.answer);
});

test('[SUP2] what is known is used at once, although the provider does not answer', async (t) => {
  const provider = await openProvider(t, undefined);
  const memory = memoryWith(setOf('k1', first));
  const keys = openKeySet(keySettings({ jwtJwksUrl: provider.url }), undefined, memory);
  await keys.open();
  assert.equal(isGood(keys, 'k1', first), true);
  assert.equal(isGood(keys, 'k1', second), false);
  await eventually('the provider is asked in the background', () => provider.requests > 0);
  assert.equal(isGood(keys, 'k1', first), true);
  assert.deepEqual(memory.loaded, [], 'nothing new is told');
});

test('what the provider says later replaces what was known, and is told', async (t) => {
  const provider = await openProvider(t, setOf('k2', second));
  const memory = memoryWith(setOf('k1', first));
  const keys = openKeySet(keySettings({ jwtJwksUrl: provider.url }), undefined, memory);
  await keys.open();
  await eventually('the reload', () => isGood(keys, 'k2', second));
  assert.equal(isGood(keys, 'k1', first), false, 'the old key was withdrawn');
  assert.deepEqual(memory.loaded, [provider.answer]);
});

test('what a provider says that has no usable key is neither told nor used', async (t) => {
  const provider = await openProvider(t, JSON.stringify({ keys: [] }));
  const memory = memoryWith(undefined);
  await assert.rejects(
    openKeySet(keySettings({ jwtJwksUrl: provider.url }), undefined, memory).open(),
    /no usable key/,
  );
  assert.deepEqual(memory.loaded, []);
});

test('keys of the settings have no memory: nothing is told, nothing that is known is looked at', async () => {
  const memory = memoryWith('not even JSON');
  const secret = 'a secret of more than thirty-two bytes';
  const keys = openKeySet(keySettings(), secret, memory);
  await keys.open();
  assert.equal(createTokenVerifier(keys, {}).verify(jwt({ alg: 'HS256' }, claimsWith(), secret)).ok, true);
  assert.deepEqual(memory.loaded, []);
});
