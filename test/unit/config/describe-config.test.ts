/** The settings as people read them: nothing missing, no secret shown. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Setting, settings } from '../../../src/config/config-schema.ts';
import { configurationPage, helpText, printedConfig } from '../../../src/config/describe-config.ts';
import { parseConfig } from '../../../src/config/load-config.ts';

const rows = Object.values(settings) as Setting<unknown>[];
const secrets = { JWT_SECRET: 'canary-secret-of-more-than-32-bytes', API_KEYS: 'canary-key-1,canary-key-2' };

test('--help names every setting with what it does, its default and what is allowed', () => {
  const help = helpText('1.2.3');
  assert.match(help, /^Carillon 1\.2\.3:/);
  for (const { name, description, kind } of rows) {
    assert.ok(help.includes(`  ${name}\n      ${description}\n`), name);
    assert.ok(help.includes(`Allowed: ${kind.allowed}.`), name);
  }
});

test('the reference page has one row for every setting, in four cells', () => {
  const page = configurationPage();
  for (const { name } of rows) {
    const line = page.split('\n').filter((candidate) => candidate.startsWith(`| \`${name}\` |`));
    assert.equal(line.length, 1, name);
    assert.equal(line[0]?.split('|').length, 6, `${name}: no cell holds a bar`);
  }
});

test('docs/CONFIGURATION.md is the reference page as it is now', () => {
  const committed = readFileSync(new URL('../../../docs/CONFIGURATION.md', import.meta.url), 'utf8');
  assert.equal(committed, configurationPage(), 'npm run gen writes it anew');
});

test('names and descriptions of settings are unique and complete', () => {
  assert.equal(new Set(rows.map(({ name }) => name)).size, rows.length);
  for (const { name, description } of rows) {
    assert.match(name, /^[A-Z][A-Z_]*$/);
    assert.match(description, /^[A-Z].*\.$/, name);
  }
});

test('a default that depends on something says on what', () => {
  for (const { name, fallback, fallbackText } of rows) {
    if (typeof fallback === 'function') assert.ok(fallbackText, name);
  }
});

test('--print-config shows every setting once and hides secrets', () => {
  const printed = printedConfig(parseConfig(secrets, false));
  assert.equal(printed.includes('canary'), false);
  assert.match(printed, /^JWT_SECRET=\(hidden\)$/m);
  assert.match(printed, /^API_KEYS=\(hidden\)$/m);
  assert.match(printed, /^# JWT_PUBLIC_KEY is not set$/m);
  assert.equal(printed.trimEnd().split('\n').length, rows.length);
});

test('what --print-config prints is what would be read again', () => {
  const config = parseConfig(
    { PORT: '0', RATE_LIMIT_CONNECTION: '7/2s', ALLOWED_ORIGINS: 'https://a,https://b' },
    true,
  );
  const lines = printedConfig(config)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const env = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  assert.deepEqual(parseConfig(env, true), config);
});

const pem = '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----';

test('a key of several lines stays on one line of --print-config', () => {
  const printed = printedConfig(parseConfig({ JWT_PUBLIC_KEY: pem.replaceAll('PRIVATE', 'PUBLIC') }, false));
  assert.equal(printed.trimEnd().split('\n').length, rows.length);
});

test('a private key given as JWT_PUBLIC_KEY is not printed', () => {
  let printed = '';
  try {
    printed = printedConfig(parseConfig({ JWT_PUBLIC_KEY: pem }, false));
  } catch {
    // refused: as good as hidden
  }
  assert.equal(printed.includes('canary'), false);
});
