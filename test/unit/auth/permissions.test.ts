/** What a list of `action:pattern` allows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { actions, PermissionSource, Permissions } from '../../../src/auth/permissions.ts';

function mayPublish(pattern: string, name: string): boolean {
  return new Permissions([`publish:${pattern}`]).allows('publish', name);
}

/** The textbook definition, a row per pattern character: slow, and easy to believe. */
function matchesByTable(pattern: string, name: string): boolean {
  let row = [true, ...Array.from(name, () => false)];
  for (const character of pattern) {
    const next: boolean[] = [character === '*' && row[0] === true];
    for (let at = 1; at <= name.length; at++) {
      next[at] =
        character === '*'
          ? next[at - 1] === true || row[at] === true
          : row[at - 1] === true && name[at - 1] === character;
    }
    row = next;
  }
  return row[name.length] === true;
}

test('a pattern matches exactly what the textbook matcher does', () => {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', ':', '*'), maxLength: 12 });
  const name = fc.string({ unit: fc.constantFrom('a', 'b', ':'), maxLength: 12 });
  fc.assert(
    fc.property(pattern, name, (p, n) =>
      assert.equal(mayPublish(p, n), matchesByTable(p, n), `${p} on ${n}`),
    ),
    { numRuns: 5000 },
  );
});

test('a star stands for any run of characters, the empty one too, and everything else for itself', () => {
  assert.equal(mayPublish('chat:*', 'chat:'), true);
  assert.equal(mayPublish('chat:*', 'chat:a:b/c'), true);
  assert.equal(mayPublish('chat:*', 'chat'), false);
  assert.equal(mayPublish('chat:*', 'xchat:a'), false);
  assert.equal(mayPublish('chat:*:eu', 'chat:a:b:eu'), true);
  assert.equal(mayPublish('chat:lobby', 'chat:lobby2'), false);
  assert.equal(mayPublish('', ''), true);
  assert.equal(mayPublish('', 'a'), false);
});

test('characters that mean something in a RegExp mean themselves', () => {
  assert.equal(mayPublish('a.b', 'axb'), false);
  assert.equal(mayPublish('a.b', 'a.b'), true);
  for (const pattern of ['[a-z]', '(a|b)', 'a+', 'a?', '^a$', 'a{1}', '\\w']) {
    assert.equal(mayPublish(pattern, 'a'), false, pattern);
  }
});

test('a pattern of many stars on a long name is as quick as any: it ends', () => {
  const name = 'a'.repeat(20_000);
  assert.equal(mayPublish(`${'a*'.repeat(200)}b`, name), false);
  assert.equal(mayPublish(`${'*a'.repeat(200)}*`, name), true);
});

test('an action without a colon is for every name; unknown actions are dropped', () => {
  const permissions = new Permissions([
    'publish',
    'fly:*',
    '',
    ':',
    'Publish:*',
    'constructor:*',
    '__proto__',
  ]);
  assert.equal(permissions.allows('publish', 'anything'), true);
  for (const action of actions) {
    if (action !== 'publish') assert.equal(permissions.allows(action, 'anything'), false, action);
  }
});

test('a permission is for its own action only', () => {
  for (const given of actions) {
    for (const asked of actions) {
      assert.equal(
        new Permissions([`${given}:a`]).allows(asked, 'a'),
        given === asked,
        `${given}, asked ${asked}`,
      );
    }
  }
});

test('the star alone says nothing about admin: and sys: topics', () => {
  const permissions = new Permissions(['subscribe:*', 'publish']);
  for (const topic of ['admin:audit', 'admin:', 'sys:all', 'sys:']) {
    assert.equal(permissions.allows('subscribe', topic), false, topic);
    assert.equal(permissions.allows('publish', topic), false, topic);
  }
  for (const topic of ['admin', 'administrator:a', 'sys', 'system:a', 'chat:admin:a', 'Admin:a']) {
    assert.equal(permissions.allows('subscribe', topic), true, topic);
  }
});

test('several stars in a row say no more than one', () => {
  assert.equal(mayPublish('**', 'admin:audit'), false);
  assert.equal(mayPublish('***', 'sys:all'), false);
});

test('an admin: topic is allowed to those who name it, and to those with admin', () => {
  assert.equal(mayPublish('admin:*', 'admin:audit'), true);
  assert.equal(mayPublish('admin:audit', 'admin:audit'), true);
  assert.equal(new Permissions(['publish:*', 'admin:*']).allows('publish', 'admin:audit'), true);
});

test('without roles and permissions a token has the role user', () => {
  const permissions = new PermissionSource({}).of({});
  for (const action of ['subscribe', 'publish', 'history', 'presence', 'direct'] as const) {
    assert.equal(permissions.allows(action, 'chat:a'), true, action);
    assert.equal(permissions.allows(action, 'admin:a'), false, action);
  }
  for (const action of ['broadcast', 'edit', 'delete', 'admin'] as const) {
    assert.equal(permissions.allows(action, 'all'), false, action);
  }
  assert.equal(permissions.isAdmin, false);
});

test('permissions alone replace the role user, and an empty list allows nothing', () => {
  const permissions = new PermissionSource({}).of({ permissions: ['subscribe:news'] });
  assert.equal(permissions.allows('subscribe', 'news'), true);
  assert.equal(permissions.allows('publish', 'news'), false);
  assert.equal(new PermissionSource({}).of({ permissions: [] }).allows('subscribe', 'news'), false);
  assert.equal(new PermissionSource({}).of({ roles: [] }).allows('subscribe', 'news'), false);
});

test('roles and permissions add up', () => {
  const permissions = new PermissionSource({}).of({ roles: ['user'], permissions: ['broadcast:all'] });
  assert.equal(permissions.allows('broadcast', 'all'), true);
  assert.equal(permissions.allows('publish', 'chat:a'), true);
});

test('the role admin may do everything, in admin: topics too', () => {
  const permissions = new PermissionSource({}).of({ roles: ['admin'] });
  for (const action of actions) {
    const name = action === 'broadcast' ? 'all' : 'admin:audit';
    assert.equal(permissions.allows(action, name), true, action);
  }
  assert.equal(permissions.isAdmin, true);
});

test('a configured role wins over a built-in one of its name; an unknown role gives nothing', () => {
  const configured = { user: ['subscribe:news'], support: ['publish:support:*'] };
  assert.equal(new PermissionSource(configured).of({}).allows('publish', 'chat:a'), false);
  assert.equal(new PermissionSource(configured).of({}).allows('subscribe', 'news'), true);
  assert.equal(
    new PermissionSource(configured).of({ roles: ['support'] }).allows('publish', 'support:1'),
    true,
  );
  for (const role of ['nobody', 'constructor', '__proto__', 'toString']) {
    assert.equal(
      new PermissionSource(configured).of({ roles: [role] }).allows('subscribe', 'news'),
      false,
      role,
    );
  }
});
