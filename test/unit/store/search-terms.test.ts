/** The syntax of a search: words, phrases, or, -not, and what is wrong with the rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSearch } from '../../../src/store/search-terms.ts';

/** Groups as people read them: `a -b | c`. */
function read(query: string): string {
  const terms = parseSearch(query);
  if (typeof terms === 'string') return `wrong: ${terms}`;
  const shown = ({ text, isExcluded }: { text: string; isExcluded: boolean }) =>
    `${isExcluded ? '-' : ''}${/\s/.test(text) ? `"${text}"` : text}`;
  return terms.map((group) => group.map(shown).join(' ')).join(' | ');
}

test('words beside each other are one group, or begins the next', () => {
  assert.equal(read('one two'), 'one two');
  assert.equal(read('  one\t two\nthree '), 'one two three');
  assert.equal(read('one or two three OR four'), 'one | two three | four');
  assert.equal(read('Or one Or'), 'one');
  assert.equal(read('one or or two'), 'one | two');
  assert.equal(read('oracle or order'), 'oracle | order');
});

test('a phrase is what stands in quotes, and or in it is a word', () => {
  assert.equal(read('"one two" three'), '"one two" three');
  assert.equal(read('"one" "or" or two'), 'one or | two');
  assert.equal(read('one"two three"four'), 'one "two three" four');
  assert.equal(read('"  padded out  "'), '"padded out"');
  assert.equal(read('"" one'), 'one');
});

test('a minus before a word or a phrase leaves it out, within a word it is one', () => {
  assert.equal(read('one -two -"three four"'), 'one -two -"three four"');
  assert.equal(read('quick-witted'), 'quick-witted');
  assert.equal(read('--one two'), '--one two');
  assert.equal(read('one -or two'), 'one -or two');
  assert.equal(read('one or two -three'), 'one | two -three');
});

test('signs without a letter or a number are no words', () => {
  assert.equal(read('one & two | ! *'), 'one two');
  assert.equal(read('💡 42 - é'), '42 é');
  assert.equal(read('東京'), '東京');
});

test('what is wrong is a sentence', () => {
  assert.equal(read('say "one'), 'wrong: a phrase is not closed with "');
  for (const nothing of ['', '  ', '""', 'or', '* & !', '-']) {
    assert.equal(read(nothing), 'wrong: there is no word in it', nothing);
  }
  const excluded = 'wrong: words with - only say what is left out; one without is needed';
  for (const query of ['-one', '-one -"two three"', 'one or -two'])
    assert.equal(read(query), excluded, query);
  const many = Array.from({ length: 32 }, (_, index) => `w${index}`).join(' ');
  assert.equal(read(many), many);
  assert.equal(read(`${many} more`), 'wrong: a search has at most 32 words');
});

test('no query takes long, whatever stands in it', () => {
  for (const piece of ['"', '-', 'a', ' ', '-"', '"-', 'or ', '\u0000', '\ud800']) {
    const startedMs = performance.now();
    parseSearch(piece.repeat(20_000));
    assert.ok(performance.now() - startedMs < 1_000, JSON.stringify(piece));
  }
});
