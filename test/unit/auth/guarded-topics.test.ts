/** `admin:` and `sys:` topics: which patterns reach them, and which token is an administrator's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { PermissionSource, Permissions } from '../../../src/auth/permissions.ts';

function maySubscribe(entries: string[], topic: string): boolean {
  return new Permissions(entries).allows('subscribe', topic);
}

const guarded = ['admin:audit', 'admin:a:b', 'sys:x', 'sys:all', 'admin:', 'sys:'];
const tooWide = [
  '*',
  '*:*',
  '**',
  'a*',
  's*',
  '*a*',
  '*s*',
  '*:x',
  'ad*',
  'admin*',
  'sy*',
  'sys*',
  'a*:*',
  '*audit',
];

for (const pattern of tooWide) {
  test(`subscribe:${pattern} reaches no topic of the server`, () => {
    for (const topic of guarded) assert.equal(maySubscribe([`subscribe:${pattern}`], topic), false, topic);
  });
}

const named: [pattern: string, reaches: string[]][] = [
  ['admin:*', ['admin:audit', 'admin:a:b', 'admin:']],
  ['admin:audit', ['admin:audit']],
  ['admin:*:b', ['admin:a:b']],
  ['sys:*', ['sys:x', 'sys:all', 'sys:']],
  ['sys:x', ['sys:x']],
];
for (const [pattern, reaches] of named) {
  test(`subscribe:${pattern} reaches the topics of the server that it names`, () => {
    assert.deepEqual(
      guarded.filter((topic) => maySubscribe([`subscribe:${pattern}`], topic)).sort(),
      [...reaches].sort(),
    );
  });
}

test('a wide pattern beside a narrow one widens nothing', () => {
  const entries = ['subscribe:*', 'subscribe:admin:audit', 'subscribe:a*'];
  assert.equal(maySubscribe(entries, 'admin:audit'), true);
  assert.equal(maySubscribe(entries, 'admin:other'), false);
  assert.equal(maySubscribe(entries, 'sys:x'), false);
  assert.equal(maySubscribe(entries, 'chat:a'), true);
});

test('without admin no pattern reaches a topic of the server that does not begin with its word', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'd', 's', 'y', ':', '*'), maxLength: 8 });
  const rest = fc.string({ unit: fc.constantFrom('a', 'd', 's', ':'), maxLength: 4 });
  fc.assert(
    fc.property(pattern, fc.constantFrom('admin:', 'sys:'), rest, (text, word, name) => {
      if (maySubscribe([`subscribe:${text}`], word + name)) assert.ok(text.startsWith(word), text);
    }),
    { numRuns: 5000 },
  );
});

test('an administrator is who has admin:* or admin, and nobody with less', () => {
  const isAdmin = (entry: string) => new Permissions([entry]).isAdmin;
  for (const entry of ['admin:*', 'admin', 'admin:**']) assert.equal(isAdmin(entry), true, entry);
  for (const entry of [
    'admin:chat:*',
    'admin:a*',
    'admin:*:*',
    'admin:',
    'admin:all',
    'Admin:*',
    'publish:admin:*',
  ]) {
    assert.equal(isAdmin(entry), false, entry);
  }
  assert.equal(new PermissionSource({}).of({ roles: ['admin'] }).isAdmin, true);
});

test('an administrator of some topics reaches no topic of the server by a wide pattern', () => {
  assert.equal(maySubscribe(['subscribe:*', 'admin:chat:*'], 'admin:audit'), false);
  assert.equal(maySubscribe(['subscribe:*', 'admin:*'], 'admin:audit'), true);
});
