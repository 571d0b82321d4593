/**
 * The entries of one conversation, oldest first: messages, and notes about the connection. Pure.
 * What is stored has an offset and stands in the order of offsets; the rest stands where it came.
 * Called by state.js.
 */

/** A message that came just now. One that is there already is no second one. */
export function withMessage(entries, message) {
  return isKnown(entries, message)
    ? entries.map((entry) => mergedWith(entry, message))
    : inserted(entries, message, ({ offset }) => offset > message.offset);
}

/** A page of history: it lies before everything of which the place is not known. */
export function withPage(entries, messages) {
  return messages.reduce((all, message) => {
    if (isKnown(all, message)) return all.map((entry) => mergedWith(entry, message));
    return inserted(all, message, ({ offset }) => offset === undefined || offset > message.offset);
  }, entries);
}

/** An own message was accepted: it has its id and place now, and stands there once. */
export function withAccepted(entries, id, { messageId, offset }) {
  const once = entries
    .filter((entry) => entry.id === id || entry.messageId !== messageId)
    .map((entry) => (entry.id === id ? { ...entry, messageId, offset, delivery: { state: 'sent' } } : entry));
  const index = once.findIndex((entry) => entry.id === id);
  const isMisplaced = once.some((entry, at) => (at < index ? entry.offset > offset : entry.offset < offset));
  if (!isMisplaced) return once;
  return inserted(once.toSpliced(index, 1), once[index], (entry) => entry.offset > offset);
}

export function isKnown(entries, { messageId }) {
  return entries.some((entry) => entry.messageId === messageId);
}

/** Where what is older begins; undefined when nothing is there. */
export function firstOffsetOf(entries) {
  return entries.find(({ offset }) => offset !== undefined)?.offset;
}

/** Of the youngest message that somebody else wrote, below `limit`; 0 when there is none. */
export function lastOffsetOfOthers(entries, me, limit = Number.POSITIVE_INFINITY) {
  const isOthers = ({ from, offset }) => from !== me && offset !== undefined && offset < limit;
  return entries.findLast(isOthers)?.offset ?? 0;
}

/** The youngest message of `me` that others have read, and who they are. `reads`: how far, by user. */
export function lastRead(entries, me, reads) {
  const others = Object.entries(reads).filter(([user]) => user !== me);
  const furthest = Math.max(0, ...others.map(([, offset]) => offset));
  const message = entries.findLast(
    ({ from, offset, isDeleted }) => from === me && offset <= furthest && !isDeleted,
  );
  if (message === undefined) return undefined;
  const readers = others.filter(([, offset]) => offset >= message.offset).map(([user]) => user);
  return { offset: message.offset, readers };
}

/** What a younger word of the server says of a message: deleted stays deleted, and an edit is not taken back. */
export function mergedWith(entry, { messageId, offset, text, editedAt, isDeleted }) {
  if (entry.messageId !== messageId || entry.isDeleted) return entry;
  if (isDeleted) return deleted(entry);
  const place = { ...entry, offset: entry.offset ?? offset };
  return (editedAt ?? 0) > (entry.editedAt ?? 0) ? { ...place, text, editedAt } : place;
}

/** What is left of it. */
export function deleted(entry) {
  return { ...entry, isDeleted: true, text: '', delivery: undefined, change: undefined };
}

function inserted(entries, message, isBehind) {
  const index = entries.findIndex(isBehind);
  return index < 0 ? [...entries, message] : entries.toSpliced(index, 0, message);
}
