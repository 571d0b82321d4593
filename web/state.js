/**
 * What the page shows, as one value, and the steps from one to the next. Pure: no DOM, no socket, no clock.
 * chat.js is the only one that calls the steps; views only read.
 */

/** Older entries of a conversation are forgotten. */
const entriesMax = 500;

export const signedOut = {
  isSignedIn: false,
  /** Why the last sign-in ended. */
  problem: undefined,
  /** User id; known with the first connect. */
  me: undefined,
  phase: { name: 'closed' },
  /** Shards of the server, and those from which others' messages came. */
  shardCount: 0,
  peerShards: [],
  conversations: [],
  activeKey: undefined,
};

export function keyOf({ kind, name }) {
  return `${kind}:${name}`;
}

/** `place` is `{kind: 'topic' | 'user' | 'everyone', name}`. Answers the state with that conversation in it. */
export function opened(state, place) {
  const key = keyOf(place);
  if (find(state, key) !== undefined) return state;
  const conversation = {
    ...place,
    key,
    /** Of topics: joining, joined, refused (by the server), ended (by the server, later). */
    membership: place.kind === 'topic' ? 'joining' : 'joined',
    /** Why it is not joined, in words. */
    problem: undefined,
    /** Messages `{id, messageId?, from, text, atMs, shard?, delivery?}` and notes `{id, note, atMs}`. */
    entries: [],
    /** Own messages from the server that may be one whose reply is still to come. */
    held: [],
    unreadCount: 0,
  };
  const conversations = [...state.conversations, conversation];
  return { ...state, conversations, activeKey: state.activeKey ?? key };
}

export function closed(state, key) {
  const index = state.conversations.findIndex((conversation) => conversation.key === key);
  const conversations = state.conversations.filter((conversation) => conversation.key !== key);
  if (state.activeKey !== key) return { ...state, conversations };
  const next = conversations[Math.min(index, conversations.length - 1)]?.key;
  return selected({ ...state, conversations }, next);
}

export function selected(state, key) {
  return changed({ ...state, activeKey: key }, key, { unreadCount: 0 });
}

/** Fields of one conversation. */
export function changed(state, key, fields) {
  return update(state, key, (conversation) => ({ ...conversation, ...fields }));
}

/** A message from the server. `isSeen`: the person looks at the page. */
export function received(before, place, message, isSeen) {
  const state = opened(before, place);
  const isOwn = message.from === state.me;
  const key = keyOf(place);
  const isUnread = !isOwn && !(isSeen && state.activeKey === key);
  const peerShards = isOwn ? state.peerShards : withShard(state.peerShards, message.shard);
  return update({ ...state, peerShards }, key, (conversation) => {
    const { entries, held, unreadCount } = conversation;
    if (entries.some((entry) => entry.messageId === message.messageId)) return conversation;
    if (isOwn && entries.some(isSending)) return { ...conversation, held: [...held, message] };
    return {
      ...conversation,
      entries: append(entries, message),
      unreadCount: unreadCount + (isUnread ? 1 : 0),
    };
  });
}

/** An own message, on its way. */
export function posted(state, key, message) {
  return update(state, key, (conversation) => ({
    ...conversation,
    entries: append(conversation.entries, { ...message, delivery: { state: 'sending' } }),
  }));
}

/** What became of an own message: sending, sent (then with its message id) or failed. */
export function settled(state, id, delivery, messageId) {
  const conversations = state.conversations.map((conversation) => {
    if (!conversation.entries.some((entry) => entry.id === id)) return conversation;
    const entries = conversation.entries.map((entry) =>
      entry.id === id ? { ...entry, delivery, messageId: messageId ?? entry.messageId } : entry,
    );
    const held = conversation.held.filter((message) => message.messageId !== messageId);
    // Nothing is on its way any more: what is held came from another window of the same user.
    if (entries.some(isSending)) return { ...conversation, entries, held };
    return { ...conversation, entries: append(entries, ...held), held: [] };
  });
  return { ...state, conversations };
}

/** A line about the connection, in every conversation. */
export function noted(state, note) {
  const conversations = state.conversations.map((conversation) => ({
    ...conversation,
    entries: append(conversation.entries, note),
  }));
  return { ...state, conversations };
}

export function find(state, key) {
  return state.conversations.find((conversation) => conversation.key === key);
}

/** Is it to be subscribed again after a reconnect? */
export function isWanted(membership) {
  return membership === 'joined' || membership === 'joining';
}

export function topicsOf({ conversations }) {
  return conversations.filter(({ kind }) => kind === 'topic').map(({ name }) => name);
}

function update(state, key, change) {
  const conversations = state.conversations.map((conversation) =>
    conversation.key === key ? change(conversation) : conversation,
  );
  return { ...state, conversations };
}

function append(entries, ...more) {
  return [...entries, ...more].slice(-entriesMax);
}

function isSending({ delivery }) {
  return delivery?.state === 'sending';
}

function withShard(shards, shard) {
  return shard === undefined || shards.includes(shard) ? shards : [...shards, shard];
}
