/** Entries, topics and small questions for the claims of the store's contract. */
import type { MessageId, Tenant, TopicKey, TopicName, UserId } from '#proto/names.ts';
import { topicKey } from '#proto/names.ts';
import type {
  AppendEntry,
  AppendResult,
  HistoryStore,
  PageView,
  SearchRequest,
  StoredMessage,
} from '../../src/store/history-store.ts';
import { parseSearch, type SearchTerms } from '../../src/store/search-terms.ts';

/** Adds one claim: a test on a store of its own, new and empty. */
export type Claim = (title: string, run: (store: HistoryStore) => Promise<void>) => void;

export const tenant = 'default' as Tenant;
export const [ann, ben, cat] = ['ann', 'ben', 'cat'] as [UserId, UserId, UserId];
/** When the first of all entries was made. */
export const startMs = 1_767_225_600_000;
let lastNumber = 0;

export function topic(name: string, ofTenant = 'default'): TopicKey {
  return topicKey(ofTenant as Tenant, name as TopicName);
}

export function inbox(user: UserId): TopicKey {
  return topic(`inbox:${user}`);
}

/** The same number makes the same id. */
export function idOf(number: number): MessageId {
  return `00000000-0000-7000-8000-${String(number).padStart(12, '0')}` as MessageId;
}

export function entry(fields: Partial<AppendEntry> = {}): AppendEntry {
  const number = ++lastNumber;
  return {
    ...{ kind: 'message', topic: topic('chat:a'), messageId: idOf(number), from: ann, peer: undefined },
    ...{ copy: undefined, target: undefined, mayAmendAny: false, key: undefined, digest: 1 },
    ...{ event: undefined, priority: undefined, payload: bytes(number % 128), text: undefined },
    ...{ timestampMs: startMs + number, isRepeat: false },
    ...fields,
  };
}

/** A direct message, as the home of the sender's inbox asks for it. */
export function direct(from: UserId, to: UserId, fields: Partial<AppendEntry> = {}): AppendEntry {
  return entry({ topic: inbox(from), from, peer: to, copy: { topic: inbox(to), peer: from }, ...fields });
}

/** An edit or a deletion of `message` by its author, wherever it is. */
export function amend(
  kind: 'edited' | 'deleted',
  message: AppendEntry,
  fields: Partial<AppendEntry> = {},
): AppendEntry {
  const { topic: where, from, peer, copy, messageId } = message;
  const payload = kind === 'edited' ? {} : { payload: nil };
  return entry({ kind, topic: where, from, peer, copy, target: messageId, ...payload, ...fields });
}

/** msgpack of a small number. */
export function bytes(value: number): Uint8Array {
  return Uint8Array.of(value);
}

/** msgpack. */
export const nil: Uint8Array = Uint8Array.of(0xc0);

/** Offsets of what was stored or is a duplicate, and the words for the rest. */
export function offsets(results: AppendResult[]): (number | string)[] {
  return results.map((result) => ('offset' in result ? result.offset : result.state));
}

export async function pageOf(
  store: HistoryStore,
  of: TopicKey,
  view: PageView = 'log',
): Promise<StoredMessage[]> {
  return (await store.page({ topic: of, view, limit: 1_000 })).messages;
}

/** What `Page` says of the whole topic. */
export async function boundsOf(store: HistoryStore, of: TopicKey): Promise<[first: number, last: number]> {
  const { firstOffset, lastOffset } = await store.page({ topic: of, view: 'log', limit: 0 });
  return [firstOffset, lastOffset];
}

/** Ids of the messages that a search finds, best first. */
export async function found(
  store: HistoryStore,
  query: string,
  request: Partial<SearchRequest> = {},
): Promise<MessageId[]> {
  const all = { tenant, terms: termsOf(query), within: ['*'], without: [], limit: 200 };
  const { messages } = await store.search({ ...all, ...request });
  return messages.map(({ message }) => message.messageId);
}

export function termsOf(query: string): SearchTerms {
  const terms = parseSearch(query);
  if (typeof terms === 'string') throw new Error(`the query ${JSON.stringify(query)} is wrong: ${terms}`);
  return terms;
}
