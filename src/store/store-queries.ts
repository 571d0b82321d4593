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
  type StoreQueries,
  type StoreQueryName,
  StoreUnavailableError,
} from './history-store.ts';

/** Payload bytes of a page, unless one message alone has more: its reply must fit into the smallest outbox. */
const pageBytesMax = 64 * 1024;

export interface StoreQueryContext {
  store: HistoryStore;
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
  { store, isUp, onQuery, onFailure, wake }: StoreQueryContext,
): Promise<void> {
  let answer: RecordBodies['storeResult'] = [false];
  onQuery(name as StoreQueryName);
  try {
    if (!isUp()) throw new StoreUnavailableError('the database is away');
    // Both ends run the same release: the name is one of the seam's, and the request is what it takes.
    const ask = store[name as keyof StoreQueries].bind(store) as (asked: object) => Promise<unknown>;
    const request = unpackObject(packed) as object;
    const result = await ask(request);
    answer = [
      true,
      packObject(name === 'page' ? withinBytes(result as Page, request as PageRequest) : (result ?? null)),
    ];
  } catch (error) {
    onFailure(error);
  }
  link.send('storeResult', correlation, packMsgpack(answer));
  wake();
}

/** Cut on the far side of where it was asked from. */
function withinBytes(page: Page, { after }: PageRequest): Page {
  const { messages } = page;
  const isForward = after !== undefined;
  const fromNear = isForward ? messages : messages.toReversed();
  let bytes = 0;
  const end = fromNear.findIndex(({ payload }, index) => {
    bytes += payload.length;
    return index > 0 && bytes > pageBytesMax;
  });
  if (end < 0) return page;
  const kept = fromNear.slice(0, end);
  return { ...page, messages: isForward ? kept : kept.toReversed(), hasMore: true };
}
