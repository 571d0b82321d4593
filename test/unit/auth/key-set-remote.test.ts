/** Keys of an identity provider: a real HTTP server on the loopback plays it. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type KeySet, type KeySettings, openKeySet } from '../../../src/auth/key-set.ts';
import { createTokenVerifier } from '../../../src/auth/verify-token.ts';
import { claimsWith, jwt, keySettings } from './jwt-by-hand.ts';

interface Pair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed25519 = generateKeyPairSync('ed25519');
const successor = generateKeyPairSync('ed25519');

function jwk({ publicKey }: Pair, kid?: string, fields: object = {}): JsonWebKey {
  return { ...publicKey.export({ format: 'jwk' }), ...(kid === undefined ? {} : { kid }), ...fields };
}

interface Provider {
  url: string;
  /** What it answers from now on. */
  answer: { status: number; body: string; headers?: Record<string, string> };
  requests: number;
}

async function openProvider(t: TestContext, keys: unknown[]): Promise<Provider> {
  const provider: Provider = {
    url: '',
    answer: { status: 200, body: JSON.stringify({ keys }) },
    requests: 0,
  };
  const server = createServer((_request, response) => {
    provider.requests++;
    response.writeHead(provider.answer.status, provider.answer.headers).end(provider.answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  return provider;
}

function tokenWith(kid: string): string {
  return jwt({ alg: 'EdDSA', kid }, claimsWith(), ed25519.privateKey);
}

function publish(provider: Provider, keys: unknown[]): void {
  provider.answer = { status: 200, body: JSON.stringify({ keys }) };
}

async function loaded(provider: Provider, settings: Partial<KeySettings> = {}): Promise<KeySet> {
  const keys = openKeySet(keySettings({ jwtJwksUrl: provider.url, ...settings }), undefined);
  await keys.open();
  return keys;
}

function isGood(keys: KeySet, alg: string, kid: string | undefined, { privateKey }: Pair): boolean {
  const header = kid === undefined ? { alg } : { alg, kid };
  return createTokenVerifier(keys, {}).verify(jwt(header, claimsWith(), privateKey)).ok;
}

/** Resolves when `condition` holds; rejects after ten seconds. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = AbortSignal.timeout(10_000);
  while (!condition()) {
    deadline.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** The same process, half a minute and more later. */
function laterOn(t: TestContext): void {
  const now = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => now() + 31_000);
}

test('a token is verified by the key that its kid names, and by no other', async (t) => {
  const keys = await loaded(await openProvider(t, [jwk(rsa, 'r'), jwk(p256, 'p'), jwk(ed25519, 'e')]));
  assert.equal(isGood(keys, 'RS256', 'r', rsa), true);
  assert.equal(isGood(keys, 'ES256', 'p', p256), true);
  assert.equal(isGood(keys, 'EdDSA', 'e', ed25519), true);
  assert.equal(isGood(keys, 'EdDSA', 'p', ed25519), false);
  assert.equal(isGood(keys, 'RS256', 'e', rsa), false);
});

test('a token with an unknown kid, or none, is refused', async (t) => {
  const keys = await loaded(await openProvider(t, [jwk(ed25519, 'e')]));
  for (const kid of ['x', '', 'E', '__proto__', 'constructor', undefined]) {
    assert.equal(isGood(keys, 'EdDSA', kid, ed25519), false, kid);
  }
});

test('a public key of the set is never a secret', async (t) => {
  const keys = await loaded(await openProvider(t, [jwk(rsa, 'r')]));
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  for (const secret of [pem, JSON.stringify(jwk(rsa, 'r')), '']) {
    const verdict = createTokenVerifier(keys, {}).verify(
      jwt({ alg: 'HS256', kid: 'r' }, claimsWith(), secret),
    );
    assert.equal(verdict.ok, false);
  }
});

test('keys for encryption, symmetric keys and keys without a kid are passed over', async (t) => {
  const oct = {
    kty: 'oct',
    k: Buffer.from('a secret of more than thirty-two bytes').toString('base64url'),
    kid: 'o',
  };
  const keys = await loaded(
    await openProvider(t, [
      jwk(rsa, 'enc', { use: 'enc' }),
      oct,
      jwk(p256),
      jwk(ed25519, 'e', { use: 'sig' }),
    ]),
  );
  assert.equal(isGood(keys, 'EdDSA', 'e', ed25519), true);
  assert.equal(isGood(keys, 'RS256', 'enc', rsa), false);
  const forged = jwt({ alg: 'HS256', kid: 'o' }, claimsWith(), 'a secret of more than thirty-two bytes');
  assert.equal(createTokenVerifier(keys, {}).verify(forged).ok, false);
});

/** RFC 7517, section 5: keys that are not understood should be ignored. */
const strangers: [name: string, key: object][] = [
  ['a curve without an algorithm', jwk(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }), 's')],
  ['a key for key agreement', jwk(generateKeyPairSync('x25519'), 's')],
  ['an unknown kty', { kty: 'AKP', kid: 's', alg: 'ML-DSA-44', pub: 'AAAA' }],
  ['a key without its numbers', { kty: 'RSA', kid: 's' }],
];
for (const [name, key] of strangers) {
  test(`${name} in the set does not keep the others from use`, async (t) => {
    const keys = await loaded(await openProvider(t, [key, jwk(ed25519, 'e')]));
    assert.equal(isGood(keys, 'EdDSA', 'e', ed25519), true);
  });
}

test('JWT_ALGORITHMS picks the keys of a mixed set that it allows', async (t) => {
  const keys = await loaded(await openProvider(t, [jwk(rsa, 'r'), jwk(p256, 'p')]), {
    jwtAlgorithms: ['ES256'],
  });
  assert.equal(isGood(keys, 'ES256', 'p', p256), true);
  assert.equal(isGood(keys, 'RS256', 'r', rsa), false);
});

test('a set without a usable key, an error and no JSON are refused at the start', async (t) => {
  const provider = await openProvider(t, []);
  await assert.rejects(loaded(provider), /JWT_JWKS_URL has no usable key with a kid/);
  provider.answer = { status: 200, body: '{}' };
  await assert.rejects(loaded(provider), /no usable key/);
  provider.answer = { status: 500, body: '' };
  await assert.rejects(loaded(provider), /JWT_JWKS_URL answered 500/);
  provider.answer = { status: 200, body: 'not JSON' };
  await assert.rejects(loaded(provider));
});

test('a redirect is not followed: keys come from where the settings say', async (t) => {
  const elsewhere = await openProvider(t, [jwk(ed25519, 'e')]);
  const provider = await openProvider(t, []);
  provider.answer = { status: 302, body: '', headers: { location: elsewhere.url } };
  await assert.rejects(loaded(provider));
  assert.deepEqual([provider.requests, elsewhere.requests], [1, 0]);
});

test('an unknown kid fetches the set again, and the token of a new key is good the next time', async (t) => {
  const provider = await openProvider(t, [jwk(ed25519, 'old')]);
  const keys = await loaded(provider);
  publish(provider, [jwk(successor, 'new')]);
  laterOn(t);
  assert.equal(isGood(keys, 'EdDSA', 'new', successor), false);
  await until(() => isGood(keys, 'EdDSA', 'new', successor));
  assert.equal(isGood(keys, 'EdDSA', 'old', ed25519), false, 'the old key was withdrawn');
  assert.equal(provider.requests, 2);
});

test('a flood of made-up kids asks the provider once', async (t) => {
  const provider = await openProvider(t, [jwk(ed25519, 'e')]);
  const keys = await loaded(provider);
  for (let index = 0; index < 1000; index++)
    assert.equal(keys.verifierFor(tokenWith(`made-up-${index}`)), undefined);
  laterOn(t);
  for (let index = 0; index < 1000; index++)
    assert.equal(keys.verifierFor(tokenWith(`made-up-${index}`)), undefined);
  await until(() => provider.requests === 2);
  assert.equal(isGood(keys, 'EdDSA', 'e', ed25519), true);
});

test('the set is fetched again every ten minutes', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const provider = await openProvider(t, [jwk(ed25519, 'old')]);
  const keys = await loaded(provider);
  publish(provider, [jwk(ed25519, 'old'), jwk(successor, 'new')]);
  t.mock.timers.tick(600_000);
  await until(() => isGood(keys, 'EdDSA', 'new', successor));
  assert.equal(isGood(keys, 'EdDSA', 'old', ed25519), true);
});

test('while the provider fails, the keys that are there stay in use', async (t) => {
  const provider = await openProvider(t, [jwk(ed25519, 'e')]);
  const keys = await loaded(provider);
  provider.answer = { status: 503, body: '' };
  laterOn(t);
  keys.verifierFor(tokenWith('unknown'));
  await until(() => provider.requests === 2);
  publish(provider, []);
  await assert.rejects(keys.open(), /no usable key/);
  assert.equal(isGood(keys, 'EdDSA', 'e', ed25519), true);
});
