/** What a setting's text may be: every kind takes its good values, refuses the others, and prints what it can read again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  autoOr,
  byteSize,
  duration,
  flag,
  integer,
  list,
  listOf,
  oneOf,
  postgresUrl,
  rate,
  type SettingKind,
  searchLanguage,
  text,
} from '../../../src/config/setting-kinds.ts';

function takes<Value>(kind: SettingKind<Value>, good: Record<string, Value>): void {
  for (const [given, value] of Object.entries(good))
    assert.deepEqual(kind.parse(given), value, `${JSON.stringify(given)} is ${JSON.stringify(value)}`);
}

function refuses(kind: SettingKind<never> | SettingKind<unknown>, bad: string[]): void {
  for (const given of bad) assert.equal(kind.parse(given), undefined, `${JSON.stringify(given)} is refused`);
}

/** Names that every object inherits: a lookup table must not find them. */
const inheritedNames = ['constructor', '__proto__', 'toString', 'valueOf', 'hasOwnProperty'];

test('a whole number is taken inside its range, both ends included, and nothing else is', () => {
  const port = integer(1, 65_535);
  takes(port, { 1: 1, 65535: 65_535, 8081: 8081, '0080': 80 });
  refuses(port, ['', '0', '65536', '-1', '+1', '1.5', '1e3', '0x50', '80 80', '80a', 'NaN', 'Infinity', '٣']);
  refuses(port, ['9'.repeat(400), ...inheritedNames]);
});

test('a flag is true or false in any of its three spellings and in any case', () => {
  takes(flag, {
    true: true,
    TRUE: true,
    1: true,
    on: true,
    false: false,
    False: false,
    0: false,
    OFF: false,
  });
  refuses(flag, ['', 'yes', 'no', '2', 'truee', 'toString', 'valueOf']);
});

test('a flag does not find names that objects inherit', () => {
  refuses(flag, inheritedNames);
});

test('a duration takes the units ms, s, m, h and d within its range', () => {
  const kind = duration(100, 7_200_000);
  takes(kind, { '100ms': 100, '1s': 1000, '1.5s': 1500, '2m': 120_000, '2h': 7_200_000, '0.1s': 100 });
  refuses(kind, [
    '',
    '100',
    '99ms',
    '121m',
    '1d',
    '-1s',
    '1 s',
    '1S',
    '1min',
    's',
    '.5s',
    '1e3ms',
    '1s2s',
    '1..5s',
  ]);
});

test('a duration of zero is taken where the range begins there', () => {
  takes(duration(0, 1000), { '0ms': 0, '0s': 0 });
});

test('a size takes b, kb, mb, gb or plain bytes within its range, in any case', () => {
  const kind = byteSize(256, 1024 ** 2);
  takes(kind, {
    256: 256,
    '256b': 256,
    '64kb': 65_536,
    '64KB': 65_536,
    '1mb': 1_048_576,
    '1024kb': 1_048_576,
  });
  refuses(kind, ['', '255', '1048577', '2mb', '1gb', '-1kb', '1.5kb', '1 kb', 'kb', '1k', '1mib', '1e3']);
});

test('a rate is permits per interval, and neither of them may be nothing', () => {
  takes(rate, {
    '50/s': { permits: 50, intervalMs: 1000 },
    '100/10s': { permits: 100, intervalMs: 10_000 },
    '1000/1m': { permits: 1000, intervalMs: 60_000 },
    '1/250ms': { permits: 1, intervalMs: 250 },
    '7/h': { permits: 7, intervalMs: 3_600_000 },
  });
  refuses(rate, [
    '',
    '50',
    '/s',
    '50/',
    '0/s',
    '-1/s',
    '50/0s',
    '1.5/s',
    '50/10',
    '50/s/s',
    '50 / s',
    '50/0.0001ms',
  ]);
});

test('a choice is one of its names exactly, case and all', () => {
  const kind = oneOf('pretty', 'json');
  takes(kind, { pretty: 'pretty', json: 'json' });
  refuses(kind, ['', 'JSON', 'prett', 'pretty,json', 'pretty ', ...inheritedNames]);
});

test('a list of choices takes known names only, and at least one', () => {
  const kind = listOf('HS256', 'RS256');
  takes(kind, { HS256: ['HS256'], 'HS256, RS256': ['HS256', 'RS256'], ',RS256,': ['RS256'] });
  refuses(kind, ['', ',', 'none', 'hs256', 'HS256,none', 'HS256;RS256', ...inheritedNames]);
});

test('a list drops blanks around and between its entries', () => {
  takes(list, { 'a, b ,,c': ['a', 'b', 'c'], a: ['a'], ' , ': [] });
});

test('auto stands for a number found at start, and a number is still held to its range', () => {
  const kind = autoOr(integer(1, 256), () => 12);
  takes(kind, { auto: 12, 3: 3 });
  refuses(kind, ['', 'Auto', '0', '257']);
});

test('text is taken as it is', () => {
  takes(text, { anything: 'anything', 'a,b c': 'a,b c' });
});

test('what a kind prints it reads again as the same value', () => {
  const kinds: [SettingKind<unknown>, fc.Arbitrary<unknown>][] = [
    [integer(0, 10_000_000), fc.nat(10_000_000)],
    [duration(0, 7_200_000), fc.nat(7_200_000)],
    [byteSize(0, 1024 ** 3), fc.nat(1024 ** 3)],
    [flag, fc.boolean()],
    [
      rate,
      fc.record(
        { permits: fc.integer({ min: 1, max: 1e9 }), intervalMs: fc.integer({ min: 1, max: 1e9 }) },
        { noNullPrototype: true },
      ),
    ],
    [listOf('a', 'b', 'c'), fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1 })],
    [autoOr(integer(1, 256), () => 4), fc.integer({ min: 1, max: 256 })],
  ].map(([kind, values]) => [kind as SettingKind<unknown>, values as fc.Arbitrary<unknown>]);
  for (const [kind, values] of kinds) {
    fc.assert(fc.property(values, (value) => assert.deepEqual(kind.parse(kind.format(value)), value)));
  }
});

test('no text makes a kind throw, and every kind says what is allowed', () => {
  const kinds = [
    text,
    list,
    flag,
    integer(0, 9),
    duration(0, 9),
    byteSize(0, 9),
    rate,
    oneOf('a'),
    listOf('a'),
  ];
  for (const kind of kinds) {
    assert.match(kind.allowed, /\w/);
    fc.assert(fc.property(fc.string(), (given) => void kind.parse(given)));
  }
});

test('the URL of a database is one of PostgreSQL', () => {
  const good = [
    'postgres://h/d',
    'postgresql://user:p%40ss@host:5432/db?sslmode=require',
    'postgres:///d?host=/run',
  ];
  takes(postgresUrl, Object.fromEntries(good.map((url) => [url, url])));
  refuses(postgresUrl, [
    '',
    'host/db',
    'mysql://h/d',
    'http://h/postgres://',
    'postgres:h',
    'postgres://h:port/d',
  ]);
});

test('the language of a search is a plain name: it can say nothing else to a database', () => {
  takes(searchLanguage, { simple: 'simple', english: 'english', my_own_one: 'my_own_one' });
  refuses(searchLanguage, ['', 'English', "english'", 'a b', 'a;b', 'pg_catalog.english', 'a'.repeat(64)]);
});
