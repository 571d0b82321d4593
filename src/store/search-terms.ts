/**
 * The syntax of a search, the same on every backend: words, "a phrase", -not, or.
 * Pure. Called by the handler of `Search` (a wrong query is refused there) and by the backends, which say it in their own
 * language. Words beside each other must all occur; `or` between two of them asks for either.
 */

/** A word or a phrase, without its quotes. */
export interface SearchTerm {
  text: string;
  isExcluded: boolean;
}

/** One of the groups must hold; a group holds when all of its terms do. */
export type SearchTerms = SearchTerm[][];

/** Terms of one query: each is a look into the index. */
const termsMax = 32;

/** What is wrong with it is a sentence. */
export function parseSearch(query: string): SearchTerms | string {
  if ((query.match(/"/g)?.length ?? 0) % 2 === 1) return 'a phrase is not closed with "';
  const groups: SearchTerms = [[]];
  let termCount = 0;
  for (const [, minus, phrase, word] of query.matchAll(/(-?)(?:"([^"]*)"|([^\s"]+))/g)) {
    if (minus === '' && word?.toLowerCase() === 'or') {
      groups.push([]);
      continue;
    }
    const text = (phrase ?? word ?? '').trim();
    if (!hasLetter(text)) continue;
    groups.at(-1)?.push({ text, isExcluded: minus === '-' });
    if (++termCount > termsMax) return `a search has at most ${termsMax} words`;
  }
  const terms = groups.filter((group) => group.length > 0);
  if (terms.length === 0) return 'there is no word in it';
  if (terms.some((group) => group.every(({ isExcluded }) => isExcluded))) {
    return 'words with - only say what is left out; one without is needed';
  }
  return terms;
}

function hasLetter(text: string): boolean {
  return /[\p{L}\p{N}]/u.test(text);
}
