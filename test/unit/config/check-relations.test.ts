/** What must hold between settings: each alone may be right and the start is still refused, with a sentence. */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, parseConfig } from '../../../src/config/load-config.ts';

const secret = 'x'.repeat(32);

function isRefused(env: Record<string, string>, message: RegExp): void {
  assert.throws(
    () => parseConfig(env, false),
    (error: Error) => error instanceof ConfigError && message.test(error.message),
    JSON.stringify(env),
  );
}

function isTaken(env: Record<string, string>): void {
  assert.doesNotThrow(() => parseConfig(env, false), JSON.stringify(env));
}

test('a ring is a power of two', () => {
  isRefused({ RING_BYTES: '100000' }, /^RING_BYTES is 100000; allowed is a power of two/);
  isRefused({ RING_BYTES: '3mb' }, /^RING_BYTES/);
  isTaken({ RING_BYTES: '64kb' });
  isTaken({ RING_BYTES: '256mb' });
});

test('a client may be silent for longer than a heartbeat, or every one would be cut', () => {
  isRefused(
    { HEARTBEAT_INTERVAL: '30s', CLIENT_TIMEOUT: '30s' },
    /^CLIENT_TIMEOUT is 30000ms.*HEARTBEAT_INTERVAL \(30000ms\)/,
  );
  isRefused({ HEARTBEAT_INTERVAL: '2m' }, /^CLIENT_TIMEOUT/);
  isTaken({ HEARTBEAT_INTERVAL: '30s', CLIENT_TIMEOUT: '30001ms' });
});

test('an outbox holds at least two of the largest messages', () => {
  isRefused(
    { MAX_MESSAGE_BYTES: '64kb', OUTBOX_BYTES: '131071' },
    /^OUTBOX_BYTES is 131071.*MAX_MESSAGE_BYTES \(65536\)/,
  );
  isTaken({ MAX_MESSAGE_BYTES: '64kb', OUTBOX_BYTES: '128kb' });
});

test('an outbox holds at least what one flush may bring', () => {
  isRefused({ MAX_MESSAGE_BYTES: '1kb', OUTBOX_BYTES: '64kb' }, /^OUTBOX_BYTES/);
});

test('TLS takes a certificate and a key, or none of them', () => {
  isRefused({ TLS_CERT: 'cert.pem' }, /^TLS_CERT and TLS_KEY/);
  isRefused({ TLS_KEY: 'key.pem' }, /^TLS_CERT and TLS_KEY/);
  isTaken({ TLS_CERT: 'cert.pem', TLS_KEY: 'key.pem' });
});

test('failpoints are refused in production', () => {
  isRefused({ NODE_ENV: 'production', JWT_SECRET: secret, FAILPOINTS: 'true' }, /^FAILPOINTS is true/);
  isTaken({ NODE_ENV: 'production', JWT_SECRET: secret });
  isTaken({ FAILPOINTS: 'true' });
});

test('production needs keys from outside', () => {
  isRefused(
    { NODE_ENV: 'production' },
    /^JWT_SECRET, JWT_PUBLIC_KEY and JWT_JWKS_URL are all missing; .*required/,
  );
  isTaken({ NODE_ENV: 'production', JWT_SECRET: secret });
  isTaken({ NODE_ENV: 'production', JWT_PUBLIC_KEY: '/etc/key.pem' });
  isTaken({ NODE_ENV: 'production', JWT_JWKS_URL: 'https://id.example/jwks' });
});

test('a secret has at least 32 bytes, counted as bytes', () => {
  isRefused({ JWT_SECRET: 'x'.repeat(31) }, /^JWT_SECRET is too short; allowed is at least 32 bytes$/);
  isTaken({ JWT_SECRET: secret });
  isTaken({ JWT_SECRET: 'é'.repeat(16) });
  isRefused({ JWT_SECRET: 'é'.repeat(15) }, /too short/);
});

test('keys come from one place', () => {
  const sources = {
    JWT_SECRET: secret,
    JWT_PUBLIC_KEY: '/etc/key.pem',
    JWT_JWKS_URL: 'https://id.example/jwks',
  };
  const names = Object.keys(sources) as (keyof typeof sources)[];
  for (const missing of names) {
    const { [missing]: _, ...two } = sources;
    isRefused(two, /more than one is set; allowed is one$/);
  }
  isRefused(sources, /more than one is set/);
});

test('algorithms fit the keys: HS with a secret, the others with public keys', () => {
  isTaken({ JWT_SECRET: secret, JWT_ALGORITHMS: 'HS256,HS384,HS512' });
  isTaken({ JWT_ALGORITHMS: 'HS512' });
  isRefused(
    { JWT_SECRET: secret, JWT_ALGORITHMS: 'HS256,RS256' },
    /^JWT_ALGORITHMS contains RS256; .*HS256, HS384, HS512$/,
  );
  isRefused({ JWT_ALGORITHMS: 'EdDSA' }, /^JWT_ALGORITHMS contains EdDSA/);
  for (const source of [{ JWT_PUBLIC_KEY: '/etc/key.pem' }, { JWT_JWKS_URL: 'https://id.example/jwks' }]) {
    isTaken({ ...source, JWT_ALGORITHMS: 'RS256,ES512,EdDSA' });
    isRefused(
      { ...source, JWT_ALGORITHMS: 'RS256,HS256' },
      /^JWT_ALGORITHMS contains HS256; .*RS, ES and EdDSA$/,
    );
  }
});

test('a key set is fetched by http or https', () => {
  for (const url of [
    'id.example/jwks',
    'file:///etc/keys',
    'ftp://id.example/jwks',
    'javascript:1',
    'https://',
  ]) {
    isRefused({ JWT_JWKS_URL: url }, /^JWT_JWKS_URL is ".*"; allowed is an http or https URL$/);
  }
  isTaken({ JWT_JWKS_URL: 'http://127.0.0.1:9/jwks' });
});

test('what is archived is kept for longer than it takes to be archived', () => {
  isRefused(
    { ARCHIVE_AFTER: '30d', RETENTION: '30d' },
    /^RETENTION is 2592000000ms; allowed is more than ARCHIVE_AFTER \(2592000000ms\), or no ARCHIVE_AFTER$/,
  );
  isTaken({ ARCHIVE_AFTER: '30d', RETENTION: '31d' });
  isTaken({ ARCHIVE_AFTER: '30d' });
  isTaken({ RETENTION: '1d' });
  const file = join(mkdtempSync(join(tmpdir(), 'carillon-relations-')), 'config.json');
  writeFileSync(file, '{"topics": [{"match": "log:*", "class": "durable", "retention": "7d"}]}');
  isRefused(
    { ARCHIVE_AFTER: '30d', CARILLON_CONFIG: file },
    /^CARILLON_CONFIG: retention of "log:\*" is 604800000ms; allowed is more than ARCHIVE_AFTER/,
  );
  isTaken({ ARCHIVE_AFTER: '6d', CARILLON_CONFIG: file });
});

test('archives are in DATA_DIR, unless they are said to be elsewhere', () => {
  assert.equal(parseConfig({ DATA_DIR: '/srv/carillon' }, false).archiveDir, '/srv/carillon/archive');
  assert.equal(parseConfig({ DATA_DIR: '/srv/carillon', ARCHIVE_DIR: '/mnt/a' }, false).archiveDir, '/mnt/a');
});
