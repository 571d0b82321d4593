/**
 * Records of shards → the store, and its answers back.
 * Thread: store. Called by store-control.ts whenever a doorbell rings; everything that blocks happens in this thread.
 * Appends go through the group commit. What is answered goes to the link that asked: a shard that was restarted meanwhile
 * has another one, and numbers its requests anew. The home of a direct message's other inbox is told as well, in the order
 * of the commits, which is the order of that inbox.
 */
import type { ShardId } from '#proto/names.ts';
import type {
  RecordBodies,
  RecordHeader,
  StoreAppendedBody,
  StoreCopiedBody,
  StoreCopy,
} from '#proto/record.ts';
import type { ThreadLink } from '../links/thread-link.ts';
import { packMsgpack, packObject, unpackMsgpack } from '../wire/codec.ts';
import type { GroupCommit, Settled } from './group-commit.ts';
import type { AppendEntry, StoredMessage } from './history-store.ts';
import { answerQuery, type StoreQueryContext } from './store-queries.ts';

export interface StoreIntakeContext extends StoreQueryContext {
  commits: GroupCommit;
  /** What a search finds a message by; undefined: nothing. */
  textOf: (entry: Pick<AppendEntry, 'topic' | 'payload'>) => string | undefined;
  linkTo: (shard: ShardId) => ThreadLink | undefined;
}

export function takeStoreRecord(
  link: ThreadLink,
  { kind, correlation, fromShard }: RecordHeader,
  ownedBody: Uint8Array,
  ctx: StoreIntakeContext,
): void {
  const body = unpackMsgpack(ownedBody);
  if (kind === 'storeQuery') {
    void answerQuery(link, correlation, body as RecordBodies['storeQuery'], ctx);
  } else if (kind === 'storeAppend' || kind === 'storeReappend') {
    const asker = { link, correlation, shard: fromShard };
    takeEntry(asker, body as RecordBodies['storeAppend'], kind === 'storeReappend', ctx);
  }
}

interface Asker {
  link: ThreadLink;
  correlation: number;
  shard: ShardId;
}

function takeEntry(
  { link, correlation, shard }: Asker,
  body: RecordBodies['storeAppend'],
  isRepeat: boolean,
  ctx: StoreIntakeContext,
): void {
  const copy = body[copyIndex];
  const entry = entryOf(body, isRepeat, ctx);
  const answer = (settled: StoreAppendedBody) => {
    link.send('storeAppended', correlation, packMsgpack(settled));
    ctx.wake();
  };
  const submitted = ctx.commits.submit(entry, (settled) => {
    // First the home that nobody asks again: whoever asked for it asks again, when this thread dies in between.
    if (copy !== null && typeof settled === 'object') tellCopy(copy, entry, settled, ctx);
    answer(settledBody(settled));
    if (ctx.linkTo(shard) !== link) tellSuccessor(shard, entry, settled, ctx);
  });
  if (submitted !== 'queued') answer([submitted]);
}

const copyIndex = 7;

function entryOf(
  body: RecordBodies['storeAppend'],
  isRepeat: boolean,
  { textOf }: StoreIntakeContext,
): AppendEntry {
  const [kind, topic, messageId, target, mayAmendAny, from, peer, copy, key, digest, ...rest] = body;
  const [event, priority, timestampMs, payload] = rest;
  return {
    ...{ kind, topic, messageId, from, digest, timestampMs, payload, mayAmendAny, isRepeat },
    ...{ target: target ?? undefined, peer: peer ?? undefined, key: key ?? undefined },
    ...{ event: event ?? undefined, priority: priority ?? undefined },
    copy: copy === null ? undefined : { topic: copy[0], peer: copy[1] },
    text: kind === 'deleted' ? undefined : textOf({ topic, payload }),
  };
}

function settledBody(settled: Settled): StoreAppendedBody {
  if (typeof settled === 'string') return [settled];
  switch (settled.state) {
    case 'stored':
      return ['stored', settled.offset, settled.copyOffset ?? null];
    case 'duplicate':
      return ['duplicate', settled.offset, settled.copyOffset ?? null, settled.messageId];
    default:
      return [settled.state];
  }
}

/** The home died while it waited; the one in its place may have asked for the end of the log before the commit. */
function tellSuccessor(
  shard: ShardId,
  { topic }: AppendEntry,
  settled: Settled,
  { linkTo, wake }: StoreIntakeContext,
): void {
  if (typeof settled !== 'object' || settled.state !== 'stored') return;
  linkTo(shard)?.send('storeHeard', 0, packMsgpack([topic, settled.offset]));
  wake();
}

function tellCopy(
  [topic, peer, home, except]: StoreCopy,
  entry: AppendEntry,
  settled: Exclude<Settled, string>,
  { linkTo, wake }: StoreIntakeContext,
): void {
  if (!('copyOffset' in settled) || settled.copyOffset === undefined) return;
  if (settled.state === 'duplicate') {
    linkTo(home)?.send('storeHeard', 0, packMsgpack([topic, settled.copyOffset]));
    return wake();
  }
  const { kind, messageId, from, target, event, priority, payload, timestampMs } = entry;
  const message: StoredMessage = {
    ...{ kind, messageId, from, target, event, priority, payload, timestampMs, peer },
    ...{ offset: settled.copyOffset, editedAtMs: undefined, deletedAtMs: undefined },
  };
  const body: StoreCopiedBody = [topic, except, packObject(message)];
  linkTo(home)?.send('storeCopied', 0, packMsgpack(body));
  wake();
}
