/** Durations as people write them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, parseDuration } from '#kit/duration.ts';

test('every unit is read as milliseconds', () => {
  const cases: [string, number][] = [
    ['0ms', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['1.5s', 1500],
    ['0.5m', 30_000],
    [' 10s ', 10_000],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

test('a fraction of a millisecond is rounded', () => {
  assert.equal(parseDuration('1.4ms'), 1);
  assert.equal(parseDuration('1.5ms'), 2);
  assert.equal(parseDuration('0.0004s'), 0);
});

test('what is not a duration is undefined, never a guess', () => {
  for (const text of [
    '',
    ' ',
    '10',
    's',
    '-1s',
    '+1s',
    '1 s',
    '1S',
    '1,5s',
    '.5s',
    '5.s',
    '1e3ms',
    '1s2m',
    '∞s',
    '1w',
  ]) {
    assert.equal(parseDuration(text), undefined, JSON.stringify(text));
  }
});

test('a duration is written in the largest unit that is exact', () => {
  const cases: [number, string][] = [
    [0, '0ms'],
    [1, '1ms'],
    [999, '999ms'],
    [1000, '1s'],
    [1500, '1500ms'],
    [120_000, '2m'],
    [90_000, '90s'],
    [7_200_000, '2h'],
    [86_400_000, '1d'],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
});

test('what was written is read back the same', () => {
  for (let ms = 0; ms < 200_000_000; ms = ms * 3 + 7) assert.equal(parseDuration(formatDuration(ms)), ms);
});
