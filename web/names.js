/** What names may look like (protocol section 3), and ids of our own. Pure. */
const userForm = /^[A-Za-z0-9_.@-]{1,64}$/;
const topicForm = /^[A-Za-z0-9_.:@/-]{1,128}$/;
const tokenForm = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** A sentence for the person who typed it, or undefined when the name is good. */
export function userProblem(name) {
  if (userForm.test(name)) return undefined;
  return 'A name has 1 to 64 characters: letters A to Z, digits and _ . @ -';
}

export function topicProblem(topic) {
  if (topicForm.test(topic)) return undefined;
  return 'A topic has 1 to 128 characters: letters A to Z, digits and _ . : @ / -';
}

export function tokenProblem(token) {
  return tokenForm.test(token)
    ? undefined
    : 'That is not a token: it has three parts with dots between them.';
}

/**
 * Never the same twice, across page reloads too: the server takes a known id for a message that it has already.
 * The second way is for pages from another machine without TLS, where browsers have no randomUUID.
 */
export function newId() {
  if (crypto.randomUUID !== undefined) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
}
