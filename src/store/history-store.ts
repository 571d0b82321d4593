/**
 * The seam of everything durable: topics as logs of entries with offsets.
 * Thread: store. Called by group-commit.ts (append), store-queries.ts (what shards ask), retention.ts and
 * session-sweep.ts. Behind it: PostgreSQL (DATABASE_URL), or SQLite in DATA_DIR; one contract suite
 * (test/contract/history-store.ts) says what each of them must do.
 *
 * Promises of every backend:
 * - What `append` answered as stored survives the death of the process, and of the machine as far as its disk is honest.
 * - A batch is stored as a whole or not at all, in its order; offsets of a topic start at 1 and have no holes.
 * - An entry that says `isRepeat` is stored once, by its message id.
 */
import type { Priority } from '#proto/data.ts';
import type {
  MessageId,
  SessionId,
  ShardId,
  Tenant,
  TopicKey,
  TopicName,
  UserId,
  UserKey,
} from '#proto/names.ts';
import type { ReceiptKind } from '#proto/record.ts';
import type { ArchiveIndex } from './archive-index.ts';
import type { SearchTerms } from './search-terms.ts';

/** Edits and deletions have an offset of their own, so that whoever recovers learns of them. */
export type EntryKind = 'message' | 'edited' | 'deleted';

/** What asks for its place in a topic. */
export interface AppendEntry {
  kind: EntryKind;
  topic: TopicKey;
  /** Of the entry itself. */
  messageId: MessageId;
  /** Who publishes, edits or deletes. */
  from: UserId;
  /** In an inbox: with whom the conversation is. */
  peer: UserId | undefined;
  /** The same entry in the other inbox of a direct message, stored together with it or not at all. */
  copy: { topic: TopicKey; peer: UserId } | undefined;
  /** What is edited or deleted: a message of this topic (and of the copy's). */
  target: MessageId | undefined;
  /** May edit and delete messages of others. */
  mayAmendAny: boolean;
  /** Idempotency key of the sender in this topic. */
  key: string | undefined;
  /** Of the body: tells a repeated message from another one under the same key. */
  digest: number;
  event: string | undefined;
  priority: Priority | undefined;
  /** msgpack; of a deletion, nil. */
  payload: Uint8Array;
  /** What a search finds it by; undefined: nothing. */
  text: string | undefined;
  /** When the server accepted it, wall clock, milliseconds. */
  timestampMs: number;
  /** It was given to a store before, whose answer was lost: it may be stored already. */
  isRepeat: boolean;
}

export type AppendResult =
  | { state: 'stored'; offset: number; copyOffset: number | undefined }
  /** The key was used before by the same sender with the same body: this is what became of it. */
  | { state: 'duplicate'; messageId: MessageId; offset: number; copyOffset: number | undefined }
  /** The key was used before with another body. */
  | { state: 'conflict' }
  /** There is no such message in the topic, or it is deleted. */
  | { state: 'missing' }
  /** The message is another user's. */
  | { state: 'forbidden' };

export interface StoredMessage {
  kind: EntryKind;
  offset: number;
  messageId: MessageId;
  from: UserId;
  peer: UserId | undefined;
  /** Of an edit or a deletion. */
  target: MessageId | undefined;
  event: string | undefined;
  priority: Priority | undefined;
  /** As last edited; nil when it was deleted. */
  payload: Uint8Array;
  timestampMs: number;
  /** When it was edited last, or deleted; wall clock, milliseconds. */
  editedAtMs: number | undefined;
  deletedAtMs: number | undefined;
}

/** `log`: every entry, without holes. `messages`: what people wrote, with what became of it. */
export type PageView = 'log' | 'messages';

/** `after`: the oldest beyond it, and below `before` if given. `before` alone: the youngest below it. Neither: the youngest. */
export interface PageRequest {
  topic: TopicKey;
  view: PageView;
  /** Only of the conversation with this user; in an inbox. */
  peer?: UserId | undefined;
  after?: number | undefined;
  before?: number | undefined;
  /** 0..1,000 messages. */
  limit: number;
}

/** Oldest first, whichever way it was asked. */
export interface Page {
  messages: StoredMessage[];
  /** There are more in the direction that was asked. */
  hasMore: boolean;
  /** Of the topic: 1, or more where retention has taken the oldest away. */
  firstOffset: number;
  /** Of the topic; 0 when it never had an entry. */
  lastOffset: number;
}

/** Where a message is: in one topic, or in the inboxes of both. */
export interface FoundMessage {
  topic: TopicKey;
  message: StoredMessage;
}

export interface SearchRequest {
  tenant: Tenant;
  terms: SearchTerms;
  /** Topics that may be looked at: names, or patterns in which `*` matches any run of characters. */
  within: string[];
  /** Names, or patterns, that are left out all the same. */
  without: string[];
  /** A topic that is looked at whatever the patterns say: the asker's own inbox. */
  inbox?: TopicName | undefined;
  peer?: UserId | undefined;
  from?: UserId | undefined;
  /** 1..200 messages. */
  limit: number;
}

/** Best first; the larger the rank, the better. Ranks compare within one answer only. */
export interface SearchPage {
  messages: { topic: TopicName; message: StoredMessage; rank: number }[];
  hasMore: boolean;
}

export type { ReceiptKind } from '#proto/record.ts';

/** A high-water mark: `user` has everything of `topic` up to `offset`. */
export interface ReceiptMark {
  topic: TopicKey;
  user: UserId;
  kind: ReceiptKind;
  offset: number;
  atMs: number;
}

/** What became of one message at one user; wall clock, milliseconds. */
export interface ReceiptTimes {
  user: UserId;
  deliveredAtMs: number | undefined;
  readAtMs: number | undefined;
}

export interface StoreStats {
  topicCount: number;
  messageCount: number;
  /** What the database takes on its disk. */
  storeBytes: number;
  /** Messages by day (UTC, `2026-01-31`) and topic, the youngest day first. */
  perDay: { day: string; topic: TopicName; messageCount: number }[];
  /** By their number of messages, the largest first. */
  topTopics: { topic: TopicName; messageCount: number }[];
}

/** A session that its client may take over, as the home of its user keeps it. */
export interface KeptSession {
  session: SessionId;
  /** SHA-256 of its resume token. */
  tokenHash: string;
  /** The session that it took over: its client may go by that name still. */
  former: { session: SessionId; tokenHash: string } | undefined;
  user: UserKey;
  /** The shard that is the user's home. */
  home: ShardId;
  /** What comes back with it; the home's own affair. */
  state: Uint8Array;
  /** Wall clock, milliseconds; undefined while it has a connection. */
  expiresAtMs: number | undefined;
}

/** What is known of a user who is not there. */
export interface SeenUser {
  user: UserKey;
  /** Wall clock, milliseconds. */
  lastSeenMs: number;
  /** The devices that the user had; the home's own affair. */
  devices: Uint8Array;
}

/** Questions of one request and one answer. Each rejects with StoreUnavailableError. */
export interface StoreQueries {
  page(request: PageRequest): Promise<Page>;
  /** Empty when there is none. */
  find(request: { tenant: Tenant; messageId: MessageId }): Promise<FoundMessage[]>;
  search(request: SearchRequest): Promise<SearchPage>;
  /** Marks never fall; the time kept for an offset is that of the first mark that reached it. */
  mark(request: { marks: ReceiptMark[] }): Promise<void>;
  /** Users who have a mark at or beyond `offset`, by name; read means delivered. */
  receipts(request: { topic: TopicKey; offset: number; limit: number }): Promise<ReceiptTimes[]>;
  /**
   * Takes the content of everything that `user` wrote out of all topics; the offsets stay. Archives follow (`erasures`).
   * Sessions of the user go, and when the user was seen.
   */
  erase(request: { tenant: Tenant; user: UserId; atMs: number }): Promise<{ messageCount: number }>;
  /**
   * What homes know of their users, the younger for the older of one name; together or not at all. What is asked for at
   * once is done in its order; within one call the last of a name counts, and `ended` before all.
   */
  keep(request: { sessions: KeptSession[]; ended: SessionId[]; seen: SeenUser[] }): Promise<void>;
  /** By its name, else by its former one; null when there is none, it is another user's, or its time was over at `nowMs`. */
  kept(request: { session: SessionId; user: UserKey; nowMs: number }): Promise<KeptSession | null>;
  /** One session, or all of a user: nobody can take them over any more. */
  dropSessions(request: {
    tenant: Tenant;
    user?: UserId | undefined;
    session?: SessionId | undefined;
  }): Promise<void>;
  /** Those of the users that were ever seen to leave. At most 1,000 are asked for. */
  seen(request: { users: UserKey[] }): Promise<SeenUser[]>;
  /** `days`: how far back `perDay` goes from `nowMs`. `limit` bounds both lists. */
  stats(request: { tenant: Tenant; nowMs: number; days: number; limit: number }): Promise<StoreStats>;
}

export type StoreQueryName = keyof StoreQueries;

export interface HistoryStore extends StoreQueries, ArchiveIndex {
  /** Identity of this log's life: with another epoch the offsets that a client remembers mean nothing. */
  readonly epoch: string;
  /**
   * One result per entry, in order. Rejects with StoreUnavailableError when nothing of the batch is stored; a backend that
   * cannot know (the connection broke behind COMMIT) finds out by the message ids before it answers, and says
   * `isFateUnknown` where even that did not succeed in time.
   */
  append(entries: readonly AppendEntry[]): Promise<AppendResult[]>;
  /** All topics, by key; at most `limit` behind `after`. */
  topics(request: { after: TopicKey | undefined; limit: number }): Promise<TopicKey[]>;
  /** Takes away the oldest entries of a topic that are older than `beforeMs`, at most `limit`; answers how many. */
  prune(request: { topic: TopicKey; beforeMs: number; limit: number }): Promise<number>;
  /** The process before this one is gone, and its connections with it: sessions that had one may be taken over until then. */
  releaseSessions(request: { expiresAtMs: number; home?: ShardId | undefined }): Promise<void>;
  /** Forgets sessions whose time was over at `nowMs`, at most `limit`; answers how many. */
  sweepSessions(request: { nowMs: number; limit: number }): Promise<number>;
  /** Resolves when entries could be written now: writes and commits something of no meaning, as far as a batch would reach. */
  probe(): Promise<void>;
  close(): Promise<void>;
}

/** The store cannot do its work now; `cause` says why. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
  /** Whether the batch is stored could not be found out: it must be given again, as a repeat. Otherwise it is not stored. */
  readonly isFateUnknown: boolean;

  constructor(
    message: string,
    { isFateUnknown = false, ...options }: ErrorOptions & { isFateUnknown?: boolean } = {},
  ) {
    super(message, options);
    this.isFateUnknown = isFateUnknown;
  }
}
