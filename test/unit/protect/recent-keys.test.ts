/** Idempotency keys: the same key gives the first result, another body is a conflict, and memory is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TopicKey } from '#proto/names.ts';
import { type Acceptance, RecentKeys } from '../../../src/protect/recent-keys.ts';
import { countingIds, ManualClock } from './manual-clock.ts';

const rememberMs = 5 * 60_000;
const keysMax = 100_000;
const hello = Buffer.from('hello');
const other = Buffer.from('other');

function open() {
  const clock = new ManualClock();
  const counts = { accepted: 0, duplicate: 0 };
  const keys = new RecentKeys(clock, countingIds(), {
    accepted: () => void counts.accepted++,
    duplicate: () => void counts.duplicate++,
  });
  const accept = (scope: string, key: string | undefined, body: Uint8Array, event?: string) =>
    verdictOf(
      keys.accept('topic', scope as TopicKey, 'ann', {
        ...(key === undefined ? {} : { key }),
        ...(event === undefined ? {} : { event }),
        payload: { msgpack: body },
      }),
    );
  return { clock, keys, counts, accept };
}

function verdictOf({ isNew, answer }: Acceptance) {
  if (!answer.ok) return { state: 'conflict', refusal: answer.refusal };
  assert.equal(answer.isDuplicate, !isNew);
  return { state: isNew ? 'new' : 'duplicate', messageId: answer.messageId };
}

test('a new key is new, and the same again is a duplicate of it', () => {
  const { accept } = open();
  assert.deepEqual(accept('t|ann', 'k1', hello), { state: 'new', messageId: 'm1' });
  assert.deepEqual(accept('t|ann', 'k1', Buffer.from('hello')), { state: 'duplicate', messageId: 'm1' });
  assert.deepEqual(accept('t|ann', 'k2', hello), { state: 'new', messageId: 'm2' });
});

test('the same key with another body is a conflict that names the key, and changes nothing', () => {
  const { accept } = open();
  accept('t|ann', 'k1', hello);
  const verdict = accept('t|ann', 'k1', other);
  assert.equal(verdict.state, 'conflict');
  assert.ok('refusal' in verdict);
  assert.equal(verdict.refusal.code, 'key_conflict');
  assert.match(verdict.refusal.message, /"k1"/);
  assert.deepEqual(accept('t|ann', 'k1', hello), { state: 'duplicate', messageId: 'm1' });
});

test('bodies that differ in one bit, in length or in order are different', () => {
  const bodies = ['', '\u0000', '\u0000\u0000', 'a', 'b', 'ab', 'ba', 'aa', 'aaaa', 'aaab'].map((text) =>
    Buffer.from(text),
  );
  for (const [index, body] of bodies.entries()) {
    const { accept } = open();
    accept('t|ann', 'k', body);
    for (const [at, candidate] of bodies.entries()) {
      assert.equal(accept('t|ann', 'k', candidate).state, at === index ? 'duplicate' : 'conflict');
    }
  }
});

test('the event belongs to the body', () => {
  const { accept } = open();
  accept('t|ann', 'k', hello, 'deploy');
  assert.equal(accept('t|ann', 'k', hello, 'rollback').state, 'conflict');
  assert.equal(accept('t|ann', 'k', hello).state, 'conflict');
  assert.equal(accept('t|ann', 'k', hello, 'deploy').state, 'duplicate');
});

test('what is accepted and what is repeated is counted, a conflict is neither', () => {
  const { accept, counts } = open();
  accept('t|ann', 'k', hello);
  accept('t|ann', undefined, hello);
  accept('t|ann', 'k', hello);
  accept('t|ann', 'k', other);
  assert.deepEqual(counts, { accepted: 2, duplicate: 1 });
});

test('a message without a key is not even packed', () => {
  const { keys } = open();
  const payload = {
    get msgpack(): Uint8Array {
      throw new Error('packed');
    },
  };
  assert.equal(keys.accept('topic', 't' as TopicKey, 'ann', { payload }).isNew, true);
});

test('a key counts in its own scope only', () => {
  const { accept } = open();
  accept('t|ann', 'k1', hello);
  assert.equal(accept('t|ben', 'k1', other).state, 'new');
  assert.equal(accept('u|ann', 'k1', other).state, 'new');
});

test('a message without a key is always new and not remembered', () => {
  const { accept, keys } = open();
  assert.deepEqual(accept('t|ann', undefined, hello), { state: 'new', messageId: 'm1' });
  assert.deepEqual(accept('t|ann', undefined, hello), { state: 'new', messageId: 'm2' });
  assert.equal(keys.size, 0);
});

test('a key is remembered for five minutes and then forgotten', () => {
  const { accept, clock } = open();
  accept('t|ann', 'k1', hello);
  clock.advance(rememberMs - 1);
  assert.equal(accept('t|ann', 'k1', hello).state, 'duplicate');
  clock.advance(1);
  assert.deepEqual(accept('t|ann', 'k1', other), { state: 'new', messageId: 'm2' });
  assert.equal(accept('t|ann', 'k1', hello).state, 'conflict');
});

test('a duplicate does not prolong the memory of its key', () => {
  const { accept, clock } = open();
  accept('t|ann', 'k1', hello);
  clock.advance(rememberMs - 1);
  accept('t|ann', 'k1', hello);
  clock.advance(1);
  assert.equal(accept('t|ann', 'k1', hello).state, 'new');
});

test('expired keys leave when others come', () => {
  const { accept, clock, keys } = open();
  for (let index = 0; index < 100; index++) accept('t|ann', `k${index}`, hello);
  clock.advance(rememberMs);
  accept('t|ann', 'fresh', hello);
  assert.equal(keys.size, 1);
});

test('a key that came again after it expired is young again', () => {
  const { accept, clock, keys } = open();
  accept('t|ann', 'k1', hello);
  clock.advance(rememberMs);
  accept('t|ann', 'k1', hello);
  clock.advance(rememberMs - 1);
  accept('t|ann', 'k2', hello);
  assert.equal(keys.size, 2);
  assert.equal(accept('t|ann', 'k1', hello).state, 'duplicate');
});

test('a key that came again does not keep older expired ones in memory', () => {
  const { accept, clock, keys } = open();
  for (const key of ['k1', 'k2', 'k3']) accept('t|ann', key, hello);
  clock.advance(rememberMs);
  accept('t|ann', 'k1', hello);
  assert.equal(keys.size, 1);
});

test('past the bound the oldest is forgotten early, and memory grows no more', () => {
  const { accept, keys } = open();
  for (let index = 0; index <= keysMax; index++) accept('t|ann', `k${index}`, hello);
  assert.equal(keys.size, keysMax);
  assert.equal(accept('t|ann', 'k1', hello).state, 'duplicate');
  assert.equal(accept('t|ann', `k${keysMax}`, hello).state, 'duplicate');
  assert.equal(accept('t|ann', 'k0', hello).state, 'new');
});
