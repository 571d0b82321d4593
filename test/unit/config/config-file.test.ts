/** The file that CARILLON_CONFIG names: read when it is good, refused with its path when it is not. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PermissionSource } from '../../../src/auth/permissions.ts';
import { ConfigError, parseConfig } from '../../../src/config/load-config.ts';

const dir = mkdtempSync(join(tmpdir(), 'carillon-config-'));
after(() => rmSync(dir, { recursive: true }));
let count = 0;

function fileWith(content: string): string {
  const path = join(dir, `config-${count++}.json`);
  writeFileSync(path, content);
  return path;
}

function refusalOf(path: string): string {
  try {
    parseConfig({ CARILLON_CONFIG: path }, false);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail(`${path} was taken`);
}

test('roles of the file are roles of the configuration', () => {
  const roles = { support: ['subscribe:*', 'publish:support:*'], none: [] };
  const config = parseConfig({ CARILLON_CONFIG: fileWith(JSON.stringify({ roles })) }, false);
  assert.deepEqual(config.roles, roles);
  assert.equal(
    new PermissionSource(config.roles).of({ roles: ['support'] }).allows('publish', 'support:7'),
    true,
  );
});

test('an empty object is a good file', () => {
  assert.deepEqual(parseConfig({ CARILLON_CONFIG: fileWith('{}') }, false).roles, {});
});

test('a role named like an inherited property is a role like any other', () => {
  const path = fileWith('{"roles": {"constructor": ["publish:a"], "__proto__": ["publish:b"]}}');
  const { roles } = parseConfig({ CARILLON_CONFIG: path }, false);
  assert.deepEqual(Object.keys(roles).sort(), ['__proto__', 'constructor']);
  assert.equal(new PermissionSource(roles).of({ roles: ['__proto__'] }).allows('publish', 'b'), true);
  assert.equal(({} as { publish?: unknown }).publish, undefined);
});

test('a file that is missing, a folder or not JSON is refused with its path and the reason', () => {
  const missing = join(dir, 'no-such-file.json');
  assert.match(
    refusalOf(missing),
    /^CARILLON_CONFIG is ".*no-such-file\.json"; it cannot be read as JSON: ENOENT/,
  );
  assert.match(refusalOf(dir), /EISDIR/);
  for (const content of ['', '{', 'roles: {}', '{"roles": {},}']) {
    assert.match(refusalOf(fileWith(content)), /^CARILLON_CONFIG is ".*"; it cannot be read as JSON: /);
  }
});

test('a file of another shape is refused with the field and what is allowed', () => {
  const wrong: [content: string, field: RegExp][] = [
    ['[]', /the file/],
    ['null', /the file/],
    ['"roles"', /the file/],
    ['{"roles": []}', /roles/],
    ['{"roles": {"a": "subscribe:*"}}', /roles\/a/],
    ['{"roles": {"a": [1]}}', /roles\/a\/0/],
    ['{"rolls": {}}', /the file|rolls/],
  ];
  for (const [content, field] of wrong) {
    const message = refusalOf(fileWith(content));
    assert.match(
      message,
      /^CARILLON_CONFIG ".*": .*; allowed is \{"roles": \{"name": \["action:pattern"\]\}, "topics": .*\}$/,
    );
    assert.match(message, field, content);
  }
});

test('rules of topics say a class, what a search finds, and how long messages are kept', () => {
  const topics = [
    { match: 'audit:*', class: 'durable', search: ['title', 'body.text'], retention: '30d' },
    { match: 'log:*', class: 'cached', search: false },
  ];
  const config = parseConfig({ CARILLON_CONFIG: fileWith(JSON.stringify({ topics })) }, false);
  assert.deepEqual(config.topics, [
    { match: 'audit:*', class: 'durable', search: ['title', 'body.text'], retentionMs: 30 * 86_400_000 },
    { match: 'log:*', class: 'cached', search: false },
  ]);
  assert.deepEqual(parseConfig({}, false).topics, []);
});

test('a rule of another shape, or that keeps messages for less than a day, is refused with the rule', () => {
  const refusalFor = (rule: object) => refusalOf(fileWith(JSON.stringify({ topics: [rule] })));
  const good = { match: 'a:*', class: 'durable' };
  for (const [wrong, field] of [
    [{ class: 'durable' }, /topics\/0/],
    [{ ...good, match: '' }, /topics\/0\/match/],
    [{ ...good, class: 'eternal' }, /topics\/0\/class/],
    [{ ...good, search: true }, /topics\/0\/search/],
    [{ ...good, search: [''] }, /topics\/0\/search/],
    [{ ...good, retention: 'long' }, /topics\/0\/retention/],
    [{ ...good, retention: 30 }, /topics\/0\/retention/],
    [{ ...good, retain: '30d' }, /topics\/0/],
  ] as const) {
    assert.match(refusalFor(wrong), field, JSON.stringify(wrong));
  }
  assert.match(refusalFor({ ...good, retention: '23h' }), /"a:\*".*allowed is at least 1d/);
});
