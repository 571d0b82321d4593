/** Filters of subscriptions: what passes, what is no filter, and which filters are the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { filterConditionsMax, filterValuesMax } from '#proto/limits.ts';
import { canonicalFilter, compileFilter } from '../../../src/routing/filter.ts';

function passes(conditions: Record<string, unknown>, data: object): boolean {
  const filter = compileFilter(conditions);
  if (typeof filter === 'string') assert.fail(`refused: ${filter}`);
  return filter(data);
}

function refusalOf(conditions: Record<string, unknown>): string {
  const filter = compileFilter(conditions);
  if (typeof filter !== 'string') assert.fail(`${JSON.stringify(conditions)} was taken`);
  return filter;
}

/** For one condition on `a`: values of `a` that pass and values that do not; `absent` stands for no `a` at all. */
const absent = Symbol('absent');
const table: [condition: unknown, passing: unknown[], failing: unknown[]][] = [
  ['eu', ['eu'], ['us', 'EU', '', 1, null, ['eu'], { eu: 1 }, absent]],
  [1, [1], ['1', 2, true, null, absent]],
  [true, [true], [false, 1, 'true', absent]],
  [null, [null], [0, '', false, absent]],
  [{ eq: 'eu' }, ['eu'], ['us', absent]],
  [{ ne: 'eu' }, ['us', 1, null, absent], ['eu']],
  [{ ne: 1 }, ['1', true, absent], [1]],
  [{ in: ['eu', 1, null] }, ['eu', 1, null], ['us', '1', absent, ['eu']]],
  [{ in: [] }, [], ['eu', null, absent]],
  [{ nin: ['eu', 1] }, ['us', '1', absent, null], ['eu', 1]],
  [{ gt: 5 }, [6, 5.1], [5, 4, '6', null, true, absent, [6]]],
  [{ gte: 5 }, [5, 6], [4.9, '5', absent]],
  [{ lt: 5 }, [4, -1], [5, 6, '4', null, absent]],
  [{ lte: 5 }, [5, 4], [5.1, null, absent]],
  [{ gt: 'b' }, ['c', 'ba'], ['b', 'a', 1, absent]],
  [{ lte: 'b' }, ['b', 'a', ''], ['c', 0, absent]],
  [{ exists: true }, [1, null, '', false, {}], [absent]],
  [{ exists: false }, [absent], [1, null, '']],
  [{ prefix: 'eu-' }, ['eu-', 'eu-west'], ['eu', 'EU-west', 1, absent, ['eu-']]],
  [{ gte: 2, lt: 4, ne: 3 }, [2, 3.5], [3, 4, 1.9, absent]],
  [{}, [1, null, absent], []],
];

for (const [condition, passing, failing] of table) {
  test(`{"a": ${JSON.stringify(condition)}} passes what it says, and nothing else`, () => {
    const dataOf = (value: unknown) => (value === absent ? {} : { a: value });
    for (const value of passing) assert.equal(passes({ a: condition }, dataOf(value)), true, String(value));
    for (const value of failing) assert.equal(passes({ a: condition }, dataOf(value)), false, String(value));
  });
}

test('all conditions must hold; none is none', () => {
  const conditions = { event: 'deploy', 'payload.region': { in: ['eu', 'us'] }, from: 'ann' };
  const data = { event: 'deploy', payload: { region: 'eu' }, from: 'ann' };
  assert.equal(passes(conditions, data), true);
  assert.equal(passes(conditions, { ...data, from: 'ben' }), false);
  assert.equal(passes(conditions, { ...data, payload: {} }), false);
  assert.equal(passes({}, {}), true);
});

test('a path leads through objects and arrays, and ends quietly where there is nothing', () => {
  const data = { payload: { a: { b: [{ c: 1 }] }, text: 'abc', none: null } };
  assert.equal(passes({ 'payload.a.b.0.c': 1 }, data), true);
  for (const path of [
    'payload.a.x.c',
    'payload.none.x',
    'payload.text.x',
    'payload.text.length',
    'x.y',
    '',
    '.',
    'payload.',
  ]) {
    assert.equal(passes({ [path]: { exists: true } }, data), false, path);
  }
});

test('inherited names are not data', () => {
  const names = [
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    'payload.constructor.name',
    'payload.__proto__.x',
  ];
  for (const name of names) {
    const conditions = JSON.parse(JSON.stringify({ [name]: { exists: true } })) as Record<string, unknown>;
    assert.equal(passes(conditions, { payload: {} }), false, name);
  }
  assert.equal(passes({ 'a.length': { exists: true } }, { a: 'text' }), false);
});

test('a condition on __proto__ that came as JSON is a condition, and pollutes nothing', () => {
  const conditions = JSON.parse('{"__proto__": {"eq": 1}}') as Record<string, unknown>;
  assert.equal(passes(conditions, {}), false);
  assert.equal(canonicalFilter(conditions), '{"__proto__":{"eq":1}}');
  assert.equal(({} as { eq?: unknown }).eq, undefined);
});

test('priorities compare by urgency', () => {
  assert.equal(passes({ priority: { gte: 'high' } }, { priority: 'critical' }), true);
  assert.equal(passes({ priority: { gte: 'high' } }, { priority: 'normal' }), false);
  assert.equal(passes({ priority: { gte: 'high' } }, {}), false);
  assert.equal(passes({ priority: { lt: 'high' } }, { priority: 'normal' }), true);
  assert.equal(passes({ priority: { lte: 'low' } }, { priority: 'low' }), true);
  assert.equal(passes({ 'payload.priority': { gt: 'high' } }, { payload: { priority: 'low' } }), true);
});

test('a condition that is none is refused by name', () => {
  const wrong: [condition: unknown, says: RegExp][] = [
    [[], /must be a value or an object of operators/],
    [undefined, /must be a value or an object of operators/],
    [{ near: 1 }, /"near" is no operator; there are eq, ne, in, nin, gt, gte, lt, lte, exists, prefix/],
    [{ constructor: 1 }, /"constructor" is no operator/],
    [{ $gt: 1 }, /"\$gt" is no operator/],
    [{ eq: {} }, /eq takes a string, number, boolean or null/],
    [{ ne: [] }, /ne takes/],
    [{ in: 'eu' }, /in takes a list of at most 64 values/],
    [{ in: [[]] }, /in takes/],
    [{ nin: [{}] }, /nin takes/],
    [{ in: Array(filterValuesMax + 1).fill(1) }, /in takes a list of at most 64/],
    [{ gt: true }, /gt takes a string or a number/],
    [{ lte: null }, /lte takes/],
    [{ exists: 'yes' }, /exists takes true or false/],
    [{ prefix: 1 }, /prefix takes a string/],
    [{ eq: 1, near: 2 }, /"near" is no operator/],
  ];
  for (const [condition, says] of wrong) {
    const message = refusalOf({ good: 1, 'payload.bad': condition });
    assert.match(message, /filter condition "payload\.bad"/);
    assert.match(message, says);
  }
});

test('more conditions than the limit are refused, as many as it are not', () => {
  const conditions = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`a${index}`, 1]));
  assert.equal(typeof compileFilter(conditions(filterConditionsMax)), 'function');
  assert.match(refusalOf(conditions(filterConditionsMax + 1)), /at most 16 conditions/);
});

test('the canonical form is the same in any order of keys, and no condition is the empty text', () => {
  assert.equal(canonicalFilter(undefined), '');
  assert.equal(canonicalFilter({}), '');
  assert.equal(
    canonicalFilter({ b: { lt: 2, gt: 1 }, a: 'x' }),
    canonicalFilter({ a: 'x', b: { gt: 1, lt: 2 } }),
  );
  assert.notEqual(canonicalFilter({ a: { in: [1, 2] } }), canonicalFilter({ a: { in: [2, 3] } }));
  assert.notEqual(canonicalFilter({ a: 1 }), canonicalFilter({ a: '1' }));
});

const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null));
const condition = fc.oneof(
  value,
  fc.dictionary(fc.constantFrom('eq', 'ne', 'gt', 'prefix', 'exists'), value, { noNullPrototype: true }),
);
const conditions = fc.dictionary(fc.string(), condition, { noNullPrototype: true });

test('shuffled conditions have one canonical form, which filters as they do', () => {
  fc.assert(
    fc.property(conditions, fc.dictionary(fc.string(), value), (given, data) => {
      const text = canonicalFilter(given);
      assert.equal(canonicalFilter(Object.fromEntries(Object.entries(given).reverse())), text);
      const filter = compileFilter(given);
      const again = compileFilter(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>));
      if (typeof filter === 'string' || typeof again === 'string')
        return assert.equal(typeof again, typeof filter);
      assert.equal(again(data), filter(data));
    }),
  );
});

test('no data makes a filter throw', () => {
  const filter = compileFilter({ 'a.b.c': { gt: 1 }, priority: { gte: 'high' }, d: { prefix: 'x' } });
  assert.ok(typeof filter === 'function');
  fc.assert(fc.property(fc.object(), (data) => assert.equal(typeof filter(data), 'boolean')));
});
