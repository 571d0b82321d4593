/** Tokens signed with a secret: who they are, or why they are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closeReasonBytesMax, tokenBytesMax } from '#proto/limits.ts';
import { type KeySettings, openKeySet } from '../../../src/auth/key-set.ts';
import { signDevelopmentToken } from '../../../src/auth/sign-token.ts';
import { createTokenVerifier, type TokenVerifier } from '../../../src/auth/verify-token.ts';
import { claimsWith, encode, jwt, keySettings, secondsFromNow } from './jwt-by-hand.ts';

const secret = 'a secret of more than thirty-two bytes';

function verifierWith(settings: Partial<KeySettings> = {}): TokenVerifier {
  return createTokenVerifier(openKeySet(keySettings(settings), secret), {});
}

const verifier = verifierWith();

/** The message of the refusal, which must fit into a close frame behind `unauthorized: `. */
function refusalOf(token: string, by = verifier): string {
  const verdict = by.verify(token);
  if (verdict.ok) assert.fail(`the token of ${verdict.identity.userId} was taken`);
  assert.equal(verdict.refusal.code, 'unauthorized');
  assert.ok(
    Buffer.byteLength(`unauthorized: ${verdict.refusal.message}`) <= closeReasonBytesMax,
    verdict.refusal.message,
  );
  return verdict.refusal.message;
}

function isTaken(token: string, by = verifier): void {
  const verdict = by.verify(token);
  assert.equal(verdict.ok, true, verdict.ok ? '' : verdict.refusal.message);
}

const hs256 = (claims: object) => jwt({ alg: 'HS256' }, claims, secret);

test('a good token says who it is, in which tenant, until when', () => {
  const exp = secondsFromNow(60);
  const verdict = verifier.verify(hs256({ sub: 'ann', exp, tenant: 'acme', permissions: ['publish:a'] }));
  assert.ok(verdict.ok);
  const { userId, tenant, permissions, expiresAtMs } = verdict.identity;
  assert.deepEqual([userId, tenant, expiresAtMs], ['ann', 'acme', exp * 1000]);
  assert.deepEqual([permissions.allows('publish', 'a'), permissions.allows('publish', 'b')], [true, false]);
});

test('a token without a tenant belongs to the default one', () => {
  const verdict = verifier.verify(hs256(claimsWith()));
  assert.ok(verdict.ok);
  assert.equal(verdict.identity.tenant, 'default');
});

test('the same token verified again gives the same answer, good or bad', () => {
  const good = hs256(claimsWith());
  const bad = jwt({ alg: 'HS256' }, claimsWith(), 'another secret of more than thirty-two bytes');
  for (let round = 0; round < 3; round++) {
    isTaken(good);
    assert.match(refusalOf(bad), /signature/);
  }
});

test('a development token is a good token', () => {
  const verdict = verifier.verify(signDevelopmentToken(secret, 'demo', 60_000));
  assert.ok(verdict.ok);
  assert.equal(verdict.identity.userId, 'demo');
});

test('a key of the right length but wrong content is refused', () => {
  const wrong = secret.replace('a', 'b');
  assert.equal(wrong.length, secret.length);
  assert.equal(refusalOf(jwt({ alg: 'HS256' }, claimsWith(), wrong)), "the token's signature does not fit");
  assert.match(refusalOf(jwt({ alg: 'HS256' }, claimsWith(), '')), /signature/);
});

test('claims, header or signature changed after signing are refused', () => {
  const token = hs256(claimsWith());
  const [header, , signature] = token.split('.') as [string, string, string];
  assert.match(refusalOf(`${header}.${encode(claimsWith({ sub: 'ben' }))}.${signature}`), /signature/);
  assert.match(
    refusalOf(`${encode({ alg: 'HS256', kid: 'x' })}.${token.split('.')[1]}.${signature}`),
    /signature/,
  );
  for (let at = 0; at < signature.length - 1; at++) {
    const changed = signature.slice(0, at) + (signature[at] === 'A' ? 'B' : 'A') + signature.slice(at + 1);
    refusalOf(`${header}.${token.split('.')[1]}.${changed}`);
  }
});

test('only HS256 counts unless JWT_ALGORITHMS says otherwise', () => {
  for (const alg of ['HS384', 'HS512']) {
    const token = jwt({ alg }, claimsWith(), secret);
    assert.equal(refusalOf(token), "the token's algorithm is not accepted");
    isTaken(token, verifierWith({ jwtAlgorithms: ['HS256', 'HS384', 'HS512'] }));
  }
  assert.match(refusalOf(hs256(claimsWith()), verifierWith({ jwtAlgorithms: ['HS512'] })), /algorithm/);
});

test('an unsigned token is refused, in whatever case it spells none', () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
    const input = `${encode({ alg })}.${encode(claimsWith())}`;
    refusalOf(`${input}.`);
    refusalOf(input);
    refusalOf(`${input}.${hs256(claimsWith()).split('.')[2]}`);
  }
  const [header, claims] = hs256(claimsWith()).split('.');
  assert.equal(refusalOf(`${header}.${claims}.`), 'the token is not signed');
});

test('the token does not choose its algorithm or its key', () => {
  refusalOf(
    jwt(
      { alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } },
      claimsWith(),
      Buffer.from('AAAA', 'base64').toString(),
    ),
  );
  for (const alg of ['RS256', 'ES256', 'EdDSA', 'PS256', 'HS1', 'constructor', '__proto__']) {
    refusalOf(`${encode({ alg })}.${encode(claimsWith())}.AAAA`);
  }
  refusalOf(jwt({ alg: 'HS256', crit: ['exp'] }, claimsWith(), secret));
});

test('an expired token is refused, beyond five seconds for clocks that differ', () => {
  assert.equal(refusalOf(hs256(claimsWith({ exp: secondsFromNow(-60) }))), 'the token has expired');
  isTaken(hs256(claimsWith({ exp: secondsFromNow(-1) })));
});

test('a token is not good before its nbf', () => {
  assert.equal(refusalOf(hs256(claimsWith({ nbf: secondsFromNow(60) }))), 'the token is not valid yet');
  isTaken(hs256(claimsWith({ nbf: secondsFromNow(-60) })));
});

test('a token without exp or sub is refused', () => {
  assert.equal(refusalOf(hs256({ sub: 'ann' })), 'the token lacks exp or sub');
  assert.equal(refusalOf(hs256({ exp: secondsFromNow(60) })), 'the token lacks exp or sub');
});

test('claims of the wrong form are refused by name', () => {
  const wrong: Record<string, unknown[]> = {
    sub: ['', 'a b', 'a|b', 'a:b', 'ann\n', 'x'.repeat(65), 'é', 7, null, {}, ['ann']],
    exp: ['soon', null, {}, true],
    tenant: ['', 'a|b', 'x'.repeat(65), 7, null, '\u0000'],
    roles: ['admin', [1], {}, [['admin']], Array(65).fill('a')],
    permissions: ['publish:*', [null], {}, Array(257).fill('a')],
  };
  for (const [claim, values] of Object.entries(wrong)) {
    for (const value of values) {
      const message = refusalOf(hs256(claimsWith({ [claim]: value })));
      assert.match(message, claim === 'exp' ? /./ : new RegExp(claim), `${claim}: ${JSON.stringify(value)}`);
    }
  }
});

test('a token longer than the maximum is refused unread', () => {
  const huge = hs256(claimsWith({ padding: 'x'.repeat(tokenBytesMax) }));
  assert.equal(refusalOf(huge), `the token is longer than ${tokenBytesMax} bytes`);
});

test('what is no token at all is refused without a throw, and never quoted', () => {
  const canary = 'canary';
  const bad = [
    '',
    canary,
    `${canary}.`,
    `..${canary}`,
    `${canary}.${canary}.${canary}`,
    `a.b.c.${canary}`,
    ' ',
    '\u0000',
  ];
  const parts = ['null', '7', '"x"', '[]', '{', '{"alg":null}', '{"alg":"HS256","kid":{}}'].map((part) =>
    Buffer.from(part).toString('base64url'),
  );
  const odd = parts.flatMap((part) => [
    `${part}.${encode(claimsWith())}.AAAA`,
    `${encode({ alg: 'HS256' })}.${part}.AAAA`,
  ]);
  for (const token of [...bad, ...odd]) assert.equal(refusalOf(token).includes(canary), false, token);
});

test('with a secret, a kid in the header changes nothing', () => {
  isTaken(jwt({ alg: 'HS256', kid: 'whatever' }, claimsWith(), secret));
  isTaken(jwt({ alg: 'HS256', kid: 7 }, claimsWith(), secret));
});

const issuerAndAudience = { iss: 'https://id.example', aud: 'carillon' };
const strict = verifierWith({ jwtIssuer: issuerAndAudience.iss, jwtAudience: issuerAndAudience.aud });

test('issuer and audience count where they are configured', () => {
  isTaken(hs256(claimsWith(issuerAndAudience)), strict);
  isTaken(hs256(claimsWith({ ...issuerAndAudience, aud: ['other', 'carillon'] })), strict);
  const wrong = [
    { iss: 'https://id.example.evil' },
    { iss: 'https://id.exampl' },
    { iss: ['https://id.example'] },
    { aud: 'carillon2' },
    { aud: ['other'] },
    { aud: [] },
  ];
  for (const claims of wrong) {
    const message = refusalOf(hs256(claimsWith({ ...issuerAndAudience, ...claims })), strict);
    assert.equal(message, "the token's issuer or audience is not accepted", JSON.stringify(claims));
  }
});

test('a token without the configured issuer or audience is refused', () => {
  for (const claim of ['iss', 'aud']) {
    refusalOf(hs256(claimsWith({ ...issuerAndAudience, [claim]: undefined })), strict);
  }
});
