/** The bounds of parsed JSON: depth and keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkValue } from '../../../src/wire/check-value.ts';
import { WireError } from '../../../src/wire/wire-error.ts';

const nestedArrays = (depth: number): unknown => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
const nestedMaps = (depth: number): unknown =>
  JSON.parse(`${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`);

test('scalars and sixteen levels pass', () => {
  for (const value of [null, true, 0, 'text', '__proto__', [], {}, nestedArrays(16), nestedMaps(16)])
    checkValue(value);
});

test('the seventeenth level is refused, in arrays and in maps', () => {
  for (const depth of [17, 18, 5000]) {
    assert.throws(() => checkValue(nestedArrays(depth)), new WireError('nested deeper than 16'));
    assert.throws(() => checkValue(nestedMaps(depth)), new WireError('nested deeper than 16'));
  }
});

test('a hundred thousand levels are refused without a stack overflow', () => {
  assert.throws(() => checkValue(nestedArrays(100_000)), WireError);
});

test('depth is counted along each branch, not over all of them', () => {
  checkValue(JSON.parse(`[${Array.from({ length: 100 }, () => '[[[[]]]]').join()}]`));
});

test('the key __proto__ is refused at any depth, also when its letters are escaped', () => {
  for (const text of [
    '{"__proto__":1}',
    '[{"a":[{"__proto__":{}}]}]',
    '{"\\u005f_proto__":{"polluted":true}}',
  ]) {
    assert.throws(() => checkValue(JSON.parse(text)), /__proto__/, text);
  }
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test('near names pass: they are ordinary keys', () => {
  checkValue(
    JSON.parse('{"constructor":{"prototype":1},"__proto":1,"__PROTO__":1,"hasOwnProperty":1,"toString":1}'),
  );
});
