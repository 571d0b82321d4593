/**
 * Text → the words that PostgreSQL indexes and asks for: letters and digits, small, without accents.
 * Pure. Called by the writers for texts and by search.ts for terms: what is folded alike is found. It does what FTS5's
 * unicode61 does beside it, so that both backends find the same, and leaves PostgreSQL's parser nothing to decide
 * (addresses and versions would be single words to it) and nothing to refuse (NUL).
 */

/** Characters of one message: a `tsvector` is at most 1 MiB, and a longer one would fail its whole batch. */
const textCharsMax = 100_000;

export function searchWords(text: string): string {
  return text
    .slice(0, textCharsMax)
    .normalize('NFD')
    .replaceAll(/[\u0300-\u036f]+/g, '')
    .normalize('NFC')
    .toLowerCase()
    .replaceAll('ς', 'σ')
    .replaceAll(/[^\p{L}\p{N}\p{M}]+/gu, ' ');
}
