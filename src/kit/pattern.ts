/** Patterns in which `*` matches any run of characters. Never a RegExp: whoever wrote one is not trusted to be quick to match. */

/** Greedy glob with one step back: O(pattern x name) at worst, both are short. */
export function matchesPattern(pattern: string, name: string): boolean {
  let at = 0;
  let nameAt = 0;
  let starAt = -1;
  let resumeAt = 0;
  while (nameAt < name.length) {
    if (pattern[at] === '*') {
      starAt = at++;
      resumeAt = nameAt;
    } else if (pattern[at] === name[nameAt]) {
      at++;
      nameAt++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      nameAt = ++resumeAt;
    } else {
      return false;
    }
  }
  while (pattern[at] === '*') at++;
  return at === pattern.length;
}
