/**
 * What the page shows, as one value, and the steps from one to the next. Pure: no DOM, no socket, no clock.
 * chat.js and the files of chat/ are the only ones that call the steps; views only read.
 */
import {
  deleted,
  firstOffsetOf,
  isKnown,
  lastOffsetOfOthers,
  withAccepted,
  withMessage,
  withPage,
} from './entries.js';
import { inboxOf } from './payload.js';

/** Older entries of a conversation are forgotten, and can be loaded again. */
const entriesMax = 1000;

export const signedOut = {
  isSignedIn: false,
  /** Why the last sign-in ended. */
  problem: undefined,
  /** User id; known with the first connect. */
  me: undefined,
  phase: { name: 'closed' },
  /** The server said that it cannot store anything for now. */
  isStoreAway: false,
  /** Shards of the server, and those from which others' messages came. */
  shardCount: 0,
  peerShards: [],
  conversations: [],
  activeKey: undefined,
  /** `{query, step: searching | done | failed, results, hasMore, problem}` while results are shown. */
  search: undefined,
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
    /** Of topics: joining (again, too), joined, refused (by the server). */
    membership: place.kind === 'topic' ? 'joining' : 'joined',
    /** Why it is not joined, in words. */
    problem: undefined,
    /** Of topics, once joined: durable, cached or volatile. */
    topicClass: undefined,
    /** What is older than the entries: unknown, loading, more, complete, failed; none where nothing is stored. */
    history: place.kind === 'everyone' ? 'none' : 'unknown',
    historyProblem: undefined,
    /**
     * Messages `{id, messageId?, offset?, from, text, atMs, shard?, editedAt?, isDeleted?, delivery?, change?}` and notes
     * `{id, note, atMs}`.
     */
    entries: [],
    /** Own messages from the server that may be one whose reply is still to come. */
    held: [],
    /** Of topics: `{count, users}` of who is there (presence.js), once known. */
    members: undefined,
    /** Of the other user: `{status, lastSeen}`, once known. */
    presence: undefined,
    /** Names of who is writing. */
    typists: [],
    /** How far others have read, as offsets by user. */
    reads: {},
    unreadCount: 0,
    /** Of the first message that was not looked at. */
    unreadOffset: undefined,
    /** `{messageId}` of a message to be scrolled to. */
    target: undefined,
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
  return changed({ ...state, activeKey: key, search: undefined }, key, { target: undefined });
}

/** Fields of one conversation. */
export function changed(state, key, fields) {
  return update(state, key, (conversation) => ({ ...conversation, ...fields }));
}

/** A message from the server. `isSeen`: the person looks at the place where it appears. */
export function received(before, place, message, isSeen) {
  const state = opened(before, place);
  const isOwn = message.from === state.me;
  return update(state, keyOf(place), (conversation) => {
    const { entries, held, unreadCount, unreadOffset } = conversation;
    const isNew = !isKnown(entries, message);
    if (isNew && isOwn && entries.some(isSending)) return { ...conversation, held: [...held, message] };
    const isUnread = isNew && !isOwn && !isSeen && !message.isDeleted;
    return bounded({
      ...conversation,
      entries: withMessage(entries, message),
      unreadCount: unreadCount + (isUnread ? 1 : 0),
      unreadOffset: unreadOffset ?? (isUnread ? message.offset : undefined),
    });
  });
}

/** Somebody wrote from that shard, just now. */
export function heardFrom(state, { from, shard }) {
  const { peerShards } = state;
  if (from === state.me || shard === undefined || peerShards.includes(shard)) return state;
  return { ...state, peerShards: [...peerShards, shard] };
}

/** A page of history; there may be more of it. */
export function paged(state, key, messages, hasMore) {
  return update(state, key, (conversation) => ({
    ...conversation,
    entries: withPage(conversation.entries, messages),
    history: hasMore ? 'more' : 'complete',
    historyProblem: undefined,
  }));
}

/**
 * What is shown may have a hole, or be of a stream that is no more: what is stored is to be loaded anew; what is not stays,
 * but its offsets mean nothing any more.
 */
export function restarted(state, key) {
  return update(state, key, (conversation) => {
    const { entries } = conversation;
    const kept = isStored(conversation)
      ? entries.filter(({ offset }) => offset === undefined)
      : entries.map((entry) => ({ ...entry, offset: undefined }));
    return { ...conversation, entries: kept, history: 'unknown', reads: {}, unreadOffset: undefined };
  });
}

/** All that is shown was looked at. */
export function looked(state, key) {
  const conversation = find(state, key);
  if (conversation === undefined || conversation.unreadCount === 0) return state;
  return changed(state, key, { unreadCount: 0, unreadOffset: undefined });
}

/**
 * How far the server may be told that this user has read, once a conversation was looked at. A mark in the inbox covers
 * every conversation with a user, so it ends before the first message that waits in another one.
 */
export function readMark(state, key) {
  const conversation = find(state, key);
  if (!isStored(conversation)) return undefined;
  const { kind, name, entries } = conversation;
  if (kind === 'topic') return { topic: name, offset: lastOffsetOfOthers(entries, state.me) };
  const people = state.conversations.filter((other) => other.kind === 'user');
  const limit = Math.min(...people.map(({ unreadOffset }) => unreadOffset ?? Number.POSITIVE_INFINITY));
  const offsets = people.map((person) => lastOffsetOfOthers(person.entries, state.me, limit));
  return { topic: inboxOf(state.me), offset: Math.max(...offsets) };
}

/** Somebody has read everything up to `offset`. */
export function readBy(state, key, user, offset) {
  return update(state, key, (conversation) => ({
    ...conversation,
    reads: { ...conversation.reads, [user]: Math.max(offset, conversation.reads[user] ?? 0) },
  }));
}

/** An own message, on its way. */
export function posted(state, key, message) {
  return update(state, key, (conversation) =>
    bounded({
      ...conversation,
      entries: [...conversation.entries, { ...message, delivery: { state: 'sending' } }],
    }),
  );
}

/** What became of an own message: sending, failed, or accepted, then with its message id and place. */
export function settled(state, id, delivery, accepted) {
  return {
    ...state,
    conversations: state.conversations.map((conversation) => {
      const { entries, held } = conversation;
      if (!entries.some((entry) => entry.id === id)) return conversation;
      const next =
        accepted === undefined
          ? entries.map((entry) => (entry.id === id ? { ...entry, delivery } : entry))
          : withAccepted(entries, id, accepted);
      const others = held.filter(({ messageId }) => messageId !== accepted?.messageId);
      // Nothing is on its way any more: what is held came from another window of the same user.
      if (next.some(isSending)) return { ...conversation, entries: next, held: others };
      return { ...conversation, entries: others.reduce(withMessage, next), held: [] };
    }),
  };
}

/** Fields of a message, wherever it is; what is deleted stays as it is. */
export function amended(state, messageId, fields) {
  return everywhere(state, messageId, (entry) => (entry.isDeleted ? entry : { ...entry, ...fields }));
}

export function removed(state, messageId) {
  return everywhere(state, messageId, deleted);
}

/** A line about the connection, in every conversation. */
export function noted(state, note) {
  const conversations = state.conversations.map((conversation) =>
    bounded({ ...conversation, entries: [...conversation.entries, note] }),
  );
  return { ...state, conversations };
}

export function find(state, key) {
  return state.conversations.find((conversation) => conversation.key === key);
}

export function findMessage(state, messageId) {
  for (const { entries } of state.conversations) {
    const found = entries.find((entry) => entry.messageId === messageId);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Is there a history of it, to be read again and changed? */
export function isStored({ kind, topicClass }) {
  return kind === 'user' || topicClass === 'durable';
}

export function namesOf({ conversations }, kind) {
  return conversations.filter((conversation) => conversation.kind === kind).map(({ name }) => name);
}

function update(state, key, change) {
  const conversations = state.conversations.map((conversation) =>
    conversation.key === key ? change(conversation) : conversation,
  );
  return { ...state, conversations };
}

function everywhere(state, messageId, change) {
  const changedIn = (entries) => {
    const index = entries.findIndex((entry) => entry.messageId === messageId);
    return index < 0 ? entries : entries.with(index, change(entries[index]));
  };
  const conversations = state.conversations.map((conversation) => ({
    ...conversation,
    entries: changedIn(conversation.entries),
    held: changedIn(conversation.held),
  }));
  return { ...state, conversations };
}

function bounded(conversation) {
  const { entries, history } = conversation;
  if (entries.length <= entriesMax) return conversation;
  const kept = entries.slice(-entriesMax);
  const isMore = history === 'complete' && firstOffsetOf(kept) !== undefined;
  return { ...conversation, entries: kept, history: isMore ? 'more' : history };
}

function isSending({ delivery }) {
  return delivery?.state === 'sending';
}
