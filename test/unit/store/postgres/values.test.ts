/** What PostgreSQL is given (texts without NUL, words without accents, ids that are ids), and which one will do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownUrl } from '../../../../src/store/postgres/connect.ts';
import { checkServer } from '../../../../src/store/postgres/open-database.ts';
import { searchWords } from '../../../../src/store/postgres/search-words.ts';
import { isUuid, readText, writtenText } from '../../../../src/store/postgres/values.ts';

test('a text is written without NUL and read as it was, and others stay as people know them', () => {
  for (const text of ['', 'plain', '\0', '\\', '\\0', '\\\0', '0\\\\0\0', 'a\0b\\c', '\\\\0']) {
    assert.ok(!writtenText(text).includes('\0'));
    assert.equal(readText(writtenText(text)), text);
  }
  assert.equal(writtenText('plain Ω'), 'plain Ω');
});

test('words are small letters and digits without accents', () => {
  assert.equal(searchWords('Crème BRÛLÉE, 3×'), 'creme brulee 3 ');
  assert.equal(searchWords('İstanbul ΟΔΟΣ οδός'), 'istanbul οδοσ οδοσ');
  assert.equal(searchWords('a\0b_c/d@e.f'), 'a b c d e f');
  assert.equal(searchWords('한국어 हिन्दी 東京'), '한국어 हिन्दी 東京');
  assert.equal(searchWords('x'.repeat(1_000_000)).length, 100_000);
});

test('an id is one only in the form in which it is stored', () => {
  assert.ok(isUuid('0199aaaa-0000-7000-8000-00000000000f'));
  for (const text of [
    '',
    'x',
    '0199AAAA-0000-7000-8000-00000000000F',
    '0199aaaa00007000800000000000000f',
    ' ',
  ]) {
    assert.ok(!isUuid(text), text);
  }
});

test('a URL is shown without its password and parameters', () => {
  assert.equal(shownUrl('postgres://me:secret@host:5432/db?password=secret'), 'postgres://me@host:5432/db');
  assert.equal(shownUrl('postgresql://host/db'), 'postgresql://host/db');
  for (const wrong of ['', 'host', 'http://host/db', 'postgres://me:secret@host:port/db']) {
    assert.equal(shownUrl(wrong), undefined);
  }
});

test('a server that is too old is refused, a newer one is not', async () => {
  const serverOf = (version: string) => ({ all: async () => [{ version }] as never });
  for (const version of ['9.6.24', '13.16 (Debian 13.16-1)']) {
    await assert.rejects(
      checkServer(serverOf(version), 'simple'),
      /it is PostgreSQL .*, and 14 is the oldest/,
    );
  }
  for (const version of ['14.0', '15.18 (Debian)', '18beta1']) await checkServer(serverOf(version), 'simple');
});
