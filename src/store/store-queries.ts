/**
 * Questions of shards → the store, and its answers back.
 * Thread: store. Called by store-intake.ts; whatever the store throws is logged and answered as "could not".
 */
import type { RecordBodies } from '#proto/record.ts';
import type { ThreadLink } from '../links/thread-link.ts';
import { packMsgpack, packObject, unpackObject } from '../wire/codec.ts';
import {
  type HistoryStore,
  type Page,
  type PageRequest,
  type SearchPage,
  type StoreQueries,
  type StoreQueryName,
  StoreUnavailableError,
} from './history-store.ts';
import type { SearchGate } from './search-gate.ts';

/** Payload bytes of a page, unless one message alone has more: its reply must fit into the smallest outbox. */
const pageBytesMax = 64 * 1024;

export interface StoreQueryContext {
  store: HistoryStore;
  searches: SearchGate;
  /** While the database is away nothing is asked of it: a queue of questions would only wait for its timeouts. */
  isUp: () => boolean;
  /** Counted. */
  onQuery: (name: StoreQueryName) => void;
  /** Reading failed: logged. */
  onFailure: (error: unknown) => void;
  /** Something was written to a link outside of a turn. */
  wake: () => void;
}

export async function answerQuery(
  link: ThreadLink,
  correlation: number,
  [name, packed]: RecordBodies['storeQuery'],
  { store, searches, isUp, onQuery, onFailure, wake }: StoreQueryContext,
): Promise<void> {
  let answer: RecordBodies['storeResult'] = [false];
  onQuery(name as StoreQueryName);
  try {
    if (!isUp()) throw new StoreUnavailableError('the database is away');
    // Both ends run the same release: the name is one of the seam's, and the request is what it takes.
    const ask = store[name as keyof StoreQueries].bind(store) as (asked: object) => Promise<unknown>;
    const request = unpackObject(packed) as object;
    const result = name === 'search' ? await searches.run(() => ask(request)) : await ask(request);
    answer = [true, packObject(bounded(name, request, result))];
  } catch (error) {
    onFailure(error);
  }
  link.send('storeResult', correlation, packMsgpack(answer));
  wake();
}

/** What a reply holds of it. */
function bounded(name: string, request: object, result: unknown): unknown {
  if (name === 'page') return boundedPage(result as Page, request as PageRequest);
  if (name === 'search') return boundedSearch(result as SearchPage);
  return result ?? null;
}

/** Cut on the far side of where it was asked from. */
function boundedPage(page: Page, { after }: PageRequest): Page {
  const { messages } = page;
  const isForward = after !== undefined;
  const fromNear = isForward ? messages : messages.toReversed();
  const kept = withinBytes(fromNear, ({ payload }) => payload.length);
  if (kept.length === messages.length) return page;
  return { ...page, messages: isForward ? kept : kept.toReversed(), hasMore: true };
}

/** The best of them. */
function boundedSearch({ messages, hasMore }: SearchPage): SearchPage {
  const kept = withinBytes(messages, ({ message }) => message.payload.length);
  return { messages: kept, hasMore: hasMore || kept.length < messages.length };
}

/** From the first on; at least one. */
function withinBytes<Entry>(entries: Entry[], bytesOf: (entry: Entry) => number): Entry[] {
  let bytes = 0;
  const end = entries.findIndex((entry, index) => {
    bytes += bytesOf(entry);
    return index > 0 && bytes > pageBytesMax;
  });
  return end < 0 ? entries : entries.slice(0, end);
}
