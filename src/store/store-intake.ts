/**
 * Records of shards → the store, and its answers back.
 * Thread: store. Called by store-control.ts whenever a doorbell rings; everything that blocks happens in this thread.
 * Appends go through the group commit. What is answered goes to the link that asked: a shard that was restarted meanwhile
 * has another one, and numbers its requests anew.
 */
import type { RecordBodies, RecordHeader, StoreAppendedBody, StoredMessageBody } from '#proto/record.ts';
import type { ThreadLink } from '../links/thread-link.ts';
import { packMsgpack, unpackMsgpack } from '../wire/codec.ts';
import type { GroupCommit } from './group-commit.ts';
import type {
  AppendEntry,
  AppendResult,
  HistoryStore,
  Page,
  PageRequest,
  StoredMessage,
} from './history-store.ts';

export interface StoreIntakeContext {
  store: HistoryStore;
  commits: GroupCommit;
  /** Reading failed: logged, and answered as such. */
  onFailure: (error: unknown) => void;
  /** Something was written to a link outside of a turn. */
  wake: () => void;
}

export function takeStoreRecord(
  link: ThreadLink,
  { kind, correlation }: RecordHeader,
  ownedBody: Uint8Array,
  ctx: StoreIntakeContext,
): void {
  const body = unpackMsgpack(ownedBody);
  if (kind === 'storePage') {
    void answerPage(link, correlation, body as RecordBodies['storePage'], ctx);
  } else if (kind === 'storeAppend' || kind === 'storeReappend') {
    const answer = (settled: StoreAppendedBody) => {
      link.send('storeAppended', correlation, packMsgpack(settled));
      ctx.wake();
    };
    const entry = entryFromBody(body as RecordBodies['storeAppend']);
    if (ctx.commits.submit(entry, (settled) => answer(settledBody(settled))) === 'full') answer(['full']);
  }
}

/** Payload bytes of a page, unless one message alone has more: its reply must fit into the smallest outbox. */
const pageBytesMax = 64 * 1024;

async function answerPage(
  link: ThreadLink,
  correlation: number,
  [topic, after, before, limit]: RecordBodies['storePage'],
  { store, onFailure, wake }: StoreIntakeContext,
): Promise<void> {
  const request: PageRequest = {
    topic,
    limit,
    ...(after === null ? {} : { after }),
    ...(before === null ? {} : { before }),
  };
  let answer: RecordBodies['storePaged'] = [false];
  try {
    const [page, lastOffset] = [await store.page(request), await store.lastOffset(topic)];
    const { messages, hasMore } = withinBytes(page, after !== null);
    answer = [true, lastOffset, hasMore, ...messages.map(messageToBody)];
  } catch (error) {
    onFailure(error);
  }
  link.send('storePaged', correlation, packMsgpack(answer));
  wake();
}

/** Cut on the far side of where it was asked from. */
function withinBytes({ messages, hasMore }: Page, isForward: boolean): Page {
  const fromNear = isForward ? messages : messages.toReversed();
  let bytes = 0;
  const end = fromNear.findIndex(({ payload }, index) => {
    bytes += payload.length;
    return index > 0 && bytes > pageBytesMax;
  });
  if (end < 0) return { messages, hasMore };
  const kept = fromNear.slice(0, end);
  return { messages: isForward ? kept : kept.toReversed(), hasMore: true };
}

function entryFromBody([
  topic,
  messageId,
  from,
  key,
  digest,
  event,
  priority,
  timestampMs,
  payload,
]: RecordBodies['storeAppend']): AppendEntry {
  return {
    ...{ topic, messageId, from, digest, timestampMs, payload },
    ...{ key: key ?? undefined, event: event ?? undefined, priority: priority ?? undefined },
  };
}

function settledBody(settled: AppendResult | 'unavailable'): StoreAppendedBody {
  if (settled === 'unavailable') return ['unavailable'];
  if (settled.state === 'conflict') return ['conflict'];
  return settled.state === 'stored'
    ? ['stored', settled.offset]
    : ['duplicate', settled.offset, settled.messageId];
}

function messageToBody({
  offset,
  messageId,
  from,
  event,
  priority,
  timestampMs,
  payload,
}: StoredMessage): StoredMessageBody {
  return [offset, messageId, from, event ?? null, priority ?? null, timestampMs, payload];
}
