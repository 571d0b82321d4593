/** What survives a page reload, per window: the name, what is open, and the place in the inbox. Never the token. */
const storageKey = 'carillon-demo';

export function recall() {
  try {
    const { name, topics, users, inbox } = JSON.parse(sessionStorage.getItem(storageKey));
    if (typeof name === 'string' && Array.isArray(topics) && Array.isArray(users))
      return { name, topics, users, inbox };
  } catch {
    // nothing remembered, or no storage in this browser
  }
  return undefined;
}

/** Undefined forgets. */
export function remember(session) {
  try {
    if (session === undefined) sessionStorage.removeItem(storageKey);
    else sessionStorage.setItem(storageKey, JSON.stringify(session));
  } catch {
    // no storage in this browser: a reload asks for the name again
  }
}
