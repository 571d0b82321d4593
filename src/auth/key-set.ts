/**
 * The keys that tokens are verified with: one secret, one public key, or a JSON Web Key Set chosen by `kid`.
 * Thread: shard. Each key has its own verifier with exactly the algorithms it was made for, so that a token can never
 * choose how it is checked (reliability reference, 2.2).
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createDecoder, createVerifier } from 'fast-jwt';
import { systemClock } from '#kit/clock.ts';
import type { JwtAlgorithm } from '#proto/token.ts';

/** Answers the verified payload, or throws. */
export type Verify = (token: string) => unknown;

/** Where keys come from and what tokens must say; the settings of the same names. */
export interface KeySettings {
  jwtPublicKey: string | undefined;
  jwtJwksUrl: string | undefined;
  jwtAlgorithms: JwtAlgorithm[] | undefined;
  jwtIssuer: string | undefined;
  jwtAudience: string | undefined;
}

export interface KeySet {
  /** The verifier for `token`; undefined: there is no key with its `kid`. Throws when it has no readable header. */
  verifierFor(token: string): Verify | undefined;
  /** Makes sure that there are keys before the first token. Throws when there are none. */
  open(): Promise<void>;
}

/** The text of a JSON Web Key Set outlives the thread that loaded it: a restart must not depend on the provider. */
export interface KeyMemory {
  known: string | undefined;
  onLoaded(jwks: string): void;
}

/** `secret` is the configured or the development one; unused when public keys are configured. */
export function openKeySet(
  settings: KeySettings,
  secret: string | undefined,
  memory: KeyMemory = { known: undefined, onLoaded: () => {} },
): KeySet {
  if (settings.jwtJwksUrl !== undefined) return new RemoteKeySet(settings, settings.jwtJwksUrl, memory);
  const isPublic = settings.jwtPublicKey !== undefined;
  const key = isPublic ? readPublicKey(settings.jwtPublicKey as string) : (secret as string);
  const verify = makeVerifier(
    key,
    isPublic ? algorithmsOf(createPublicKey(key)) : (settings.jwtAlgorithms ?? ['HS256']),
    settings,
  );
  return { verifierFor: () => verify, open: async () => {} };
}

/** A PEM, or a path to one. Throws a sentence with the name of the setting when it is neither. */
function readPublicKey(pemOrPath: string): string {
  try {
    const isPem = pemOrPath.includes('-----BEGIN');
    const pem = isPem ? pemOrPath.replaceAll('\\n', '\n') : readFileSync(pemOrPath, 'utf8');
    if (pem.includes('PRIVATE KEY')) throw new Error('it is a private key; allowed is the public one');
    return createPublicKey(pem).export({ type: 'spki', format: 'pem' }) as string;
  } catch (error) {
    throw new Error(
      `JWT_PUBLIC_KEY is no public key in PEM and no path to one: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Accepts the algorithms of the key's own kind that the settings allow, and no others. */
function makeVerifier(key: string, ofKey: JwtAlgorithm[], settings: KeySettings): Verify {
  const algorithms = ofKey.filter((algorithm) => settings.jwtAlgorithms?.includes(algorithm) ?? true);
  if (algorithms.length === 0)
    throw new Error(`JWT_ALGORITHMS allows none of ${ofKey.join(', ')}, which the key is for`);
  const options = {
    key,
    algorithms,
    // An issuer or audience that is demanded but absent would pass otherwise.
    requiredClaims: [
      ...['exp', 'sub'],
      ...(settings.jwtIssuer === undefined ? [] : ['iss']),
      ...(settings.jwtAudience === undefined ? [] : ['aud']),
    ],
    clockTolerance: clockToleranceMs,
    // The cache's own key is a hash of the token, twice per miss: worth it beside a public-key signature (50 us and more),
    // dearer than the HMAC that it would save.
    cache: !algorithms.every((algorithm) => algorithm.startsWith('HS')),
    ...(settings.jwtIssuer === undefined ? {} : { allowedIss: settings.jwtIssuer }),
    ...(settings.jwtAudience === undefined ? {} : { allowedAud: settings.jwtAudience }),
  };
  return createVerifier(options);
}

/** How far the clocks of issuer and server may be apart, milliseconds. */
const clockToleranceMs = 5_000;

/** The algorithms that a key of this kind can verify; never more than its own family. */
function algorithmsOf(key: ReturnType<typeof createPublicKey>): JwtAlgorithm[] {
  switch (key.asymmetricKeyType) {
    case 'rsa':
      return ['RS256', 'RS384', 'RS512'];
    case 'ed25519':
    case 'ed448':
      return ['EdDSA'];
    case 'ec': {
      const byCurve: Record<string, JwtAlgorithm> = {
        prime256v1: 'ES256',
        secp384r1: 'ES384',
        secp521r1: 'ES512',
      };
      const algorithm = byCurve[key.asymmetricKeyDetails?.namedCurve ?? ''];
      if (algorithm !== undefined) return [algorithm];
    }
  }
  throw new Error(
    `a ${key.asymmetricKeyType} key cannot verify tokens; allowed are RSA, EC P-256/384/521 and Ed25519`,
  );
}

const decode = createDecoder({ complete: true });

/** Keys of an identity provider. Loaded at start, again every ten minutes, and when an unknown `kid` turns up. */
class RemoteKeySet implements KeySet {
  readonly #settings: KeySettings;
  readonly #url: string;
  readonly #memory: KeyMemory;
  #verifiers = new Map<string, Verify>();
  #loadedAtMs = 0;

  constructor(settings: KeySettings, url: string, memory: KeyMemory) {
    this.#settings = settings;
    this.#memory = memory;
    this.#url = url;
    setInterval(() => this.#reload(), refreshIntervalMs).unref();
  }

  verifierFor(token: string): Verify | undefined {
    const { kid } = (decode(token) as { header: { kid?: unknown } }).header;
    const verify = typeof kid === 'string' ? this.#verifiers.get(kid) : undefined;
    // A flood of made-up key ids must not become a flood of requests to the identity provider.
    if (verify === undefined && systemClock.monotonicMs() - this.#loadedAtMs > unknownKeyReloadMs)
      this.#reload();
    return verify;
  }

  /** What a thread before this one had loaded will do; the provider is asked in the background then. */
  async open(): Promise<void> {
    if (this.#memory.known === undefined) return this.#load();
    this.#use(this.#memory.known);
    this.#reload();
  }

  async #load(): Promise<void> {
    this.#loadedAtMs = systemClock.monotonicMs();
    const response = await fetch(this.#url, {
      signal: AbortSignal.timeout(fetchTimeoutMs),
      redirect: 'error',
    });
    if (!response.ok) throw new Error(`JWT_JWKS_URL answered ${response.status}`);
    const jwks = await response.text();
    this.#use(jwks);
    this.#memory.onLoaded(jwks);
  }

  #use(jwks: string): void {
    const { keys } = JSON.parse(jwks) as { keys?: (JsonWebKey & { kid?: string })[] };
    const verifiers = (keys ?? []).flatMap((jwk) => this.#verifierOf(jwk));
    if (verifiers.length === 0) throw new Error('JWT_JWKS_URL has no usable key with a kid');
    this.#verifiers = new Map(verifiers);
  }

  /** Keys that we cannot use (other kinds, other algorithms) say nothing against the others of the set. */
  #verifierOf(jwk: JsonWebKey & { kid?: string }): [kid: string, verify: Verify][] {
    if (jwk.kid === undefined || jwk['use'] === 'enc' || jwk.kty === 'oct') return [];
    try {
      const key = createPublicKey({ key: jwk, format: 'jwk' });
      const pem = key.export({ type: 'spki', format: 'pem' }) as string;
      return [[jwk.kid, makeVerifier(pem, algorithmsOf(key), this.#settings)]];
    } catch {
      return [];
    }
  }

  /** In the background; on failure the keys that are there stay in use. */
  #reload(): void {
    this.#load().catch(() => {});
  }
}

const refreshIntervalMs = 600_000;
const unknownKeyReloadMs = 30_000;
const fetchTimeoutMs = 5_000;
