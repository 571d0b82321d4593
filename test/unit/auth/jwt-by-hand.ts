/** Tokens made from RFC 7515 and node:crypto alone, good and bad ones: nothing of the library that verifies them. */
import { createHmac, type KeyObject, sign } from 'node:crypto';
import type { KeySettings } from '../../../src/auth/key-set.ts';

/** The settings of the same names, all absent unless given. */
export function keySettings(given: Partial<KeySettings> = {}): KeySettings {
  return {
    jwtPublicKey: undefined,
    jwtJwksUrl: undefined,
    jwtAlgorithms: undefined,
    jwtIssuer: undefined,
    jwtAudience: undefined,
    ...given,
  };
}

export function secondsFromNow(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}

/** Good claims; `claims` on top, undefined ones left out. */
export function claimsWith(claims: object = {}): object {
  return { sub: 'ann', exp: secondsFromNow(3600), ...claims };
}

/** A secret signs HS tokens, a private key the algorithms of its kind; `none` leaves the signature empty. */
export function jwt(
  header: { alg: string; [name: string]: unknown },
  claims: object,
  key: string | KeyObject,
): string {
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signatureOf(header.alg, Buffer.from(input), key).toString('base64url')}`;
}

export function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signatureOf(alg: string, input: Buffer, key: string | KeyObject): Buffer {
  if (alg === 'none') return Buffer.alloc(0);
  const digest = `sha${alg.slice(2)}`;
  if (alg.startsWith('HS')) return createHmac(digest, key).update(input).digest();
  if (typeof key === 'string') throw new Error(`${alg} is signed by a private key`);
  if (alg === 'EdDSA') return sign(null, input, key);
  if (alg.startsWith('ES')) return sign(digest, input, { key, dsaEncoding: 'ieee-p1363' });
  return sign(digest, input, key);
}
