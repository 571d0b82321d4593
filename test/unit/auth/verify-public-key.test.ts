/** Tokens signed with a private key, verified with JWT_PUBLIC_KEY: each key for its own algorithms, and never as a secret. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { JwtAlgorithm } from '#proto/token.ts';
import { openKeySet } from '../../../src/auth/key-set.ts';
import { createTokenVerifier, type TokenVerifier } from '../../../src/auth/verify-token.ts';
import { claimsWith, jwt, keySettings, secondsFromNow } from './jwt-by-hand.ts';

const dir = mkdtempSync(join(tmpdir(), 'carillon-keys-'));
after(() => rmSync(dir, { recursive: true }));

interface Pair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' });
const ed25519 = generateKeyPairSync('ed25519');

/** Every kind of key with the algorithms that it is for. */
const kinds: [name: string, pair: Pair, algorithms: JwtAlgorithm[]][] = [
  ['RSA', rsa, ['RS256', 'RS384', 'RS512']],
  ['P-256', p256, ['ES256']],
  ['P-384', p384, ['ES384']],
  ['P-521', p521, ['ES512']],
  ['Ed25519', ed25519, ['EdDSA']],
];

function pemOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'pem' }) as string;
}

function verifierOf(jwtPublicKey: string, jwtAlgorithms?: JwtAlgorithm[]): TokenVerifier {
  return createTokenVerifier(openKeySet(keySettings({ jwtPublicKey, jwtAlgorithms }), undefined), {});
}

function isTaken(verifier: TokenVerifier, token: string, what: string): void {
  const verdict = verifier.verify(token);
  assert.equal(verdict.ok, true, `${what}: ${verdict.ok ? '' : verdict.refusal.message}`);
}

function isRefused(verifier: TokenVerifier, token: string, what: string): void {
  assert.equal(verifier.verify(token).ok, false, what);
}

for (const [name, { publicKey, privateKey }, algorithms] of kinds) {
  test(`a ${name} key verifies ${algorithms.join(', ')}, given as PEM, as PEM on one line, and as a path`, () => {
    const pem = pemOf(publicKey);
    const path = join(dir, `${name}.pem`);
    writeFileSync(path, pem);
    for (const given of [pem, pem.replaceAll('\n', '\\n'), path]) {
      const verifier = verifierOf(given);
      for (const alg of algorithms)
        isTaken(verifier, jwt({ alg }, claimsWith(), privateKey), `${name} ${alg}`);
    }
  });

  test(`a ${name} key refuses tokens of every other key`, () => {
    const verifier = verifierOf(pemOf(publicKey));
    for (const [other, pair, theirs] of kinds.filter(([kind]) => kind !== name)) {
      for (const alg of theirs)
        isRefused(verifier, jwt({ alg }, claimsWith(), pair.privateKey), `${other} ${alg}`);
    }
  });
}

test('another key of the same kind is refused', () => {
  const other = generateKeyPairSync('ed25519');
  isRefused(
    verifierOf(pemOf(ed25519.publicKey)),
    jwt({ alg: 'EdDSA' }, claimsWith(), other.privateKey),
    'EdDSA',
  );
});

test('the public key is never a secret: an HS token made with its PEM is refused', () => {
  for (const [name, { publicKey }] of kinds) {
    const pem = pemOf(publicKey);
    const asDer = publicKey.export({ type: 'spki', format: 'der' }).toString('latin1');
    const secrets = [
      pem,
      pem.trim(),
      pem.replaceAll('\n', ''),
      pem.replaceAll('\n', '\\n'),
      ` ${pem}`,
      asDer,
      '',
    ];
    // And with words before the key, as the advisories did.
    for (const given of [pem, `a comment\n${pem}`]) {
      const verifier = verifierOf(given);
      for (const secret of [...secrets, given]) {
        for (const alg of ['HS256', 'HS384', 'HS512']) {
          isRefused(verifier, jwt({ alg }, claimsWith(), secret), `${name} ${alg}`);
        }
      }
    }
  }
});

test('an unsigned or expired token is refused, and one without exp', () => {
  const verifier = verifierOf(pemOf(p256.publicKey));
  isRefused(verifier, jwt({ alg: 'none' }, claimsWith(), ''), 'none');
  isRefused(
    verifier,
    jwt({ alg: 'ES256' }, claimsWith({ exp: secondsFromNow(-60) }), p256.privateKey),
    'expired',
  );
  isRefused(verifier, jwt({ alg: 'ES256' }, { sub: 'ann' }, p256.privateKey), 'no exp');
});

test('JWT_ALGORITHMS narrows what a key verifies', () => {
  const verifier = verifierOf(pemOf(rsa.publicKey), ['RS512', 'ES256']);
  isTaken(verifier, jwt({ alg: 'RS512' }, claimsWith(), rsa.privateKey), 'RS512');
  isRefused(verifier, jwt({ alg: 'RS256' }, claimsWith(), rsa.privateKey), 'RS256');
});

test('JWT_ALGORITHMS that allow nothing of the key are refused with both named', () => {
  assert.throws(
    () => verifierOf(pemOf(rsa.publicKey), ['ES256', 'EdDSA']),
    /^Error: JWT_ALGORITHMS allows none of RS256, RS384, RS512, which the key is for$/,
  );
});

test('a key that tokens cannot be verified with is refused with a sentence', () => {
  const x25519 = generateKeyPairSync('x25519').publicKey;
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey;
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey;
  for (const key of [x25519, secp256k1, pss]) {
    assert.throws(
      () => verifierOf(pemOf(key)),
      /cannot verify tokens; allowed are RSA, EC P-256\/384\/521 and Ed25519$/,
    );
  }
});

test('a path to nothing and a PEM of nothing are refused', () => {
  assert.throws(() => verifierOf(join(dir, 'missing.pem')), /ENOENT/);
  assert.throws(() => verifierOf('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'));
  const empty = join(dir, 'empty.pem');
  writeFileSync(empty, '');
  assert.throws(() => verifierOf(empty));
});
