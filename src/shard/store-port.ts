/**
 * The way from topics and sessions of this shard to the store's thread.
 * Thread: shard. Called by topic actors (append), handlers and routes (page); answers come by ring-intake.ts.
 * The fate of an append is never guessed: what a store thread that died has not answered is asked again of the next one,
 * which stores each message id once. Pages are not worth that: they fail, and the client asks again.
 */
import { storePeer } from '#proto/names.ts';
import type { RecordBodies, StoreAppendedBody, StoredMessageBody, StoreEntryBody } from '#proto/record.ts';
import type { ThreadLinks } from '../links/thread-links.ts';
import type { HistoryRequest } from '../session/ports.ts';
import type { AppendEntry } from '../store/history-store.ts';
import type { AppendSent, AppendSettled } from '../topic/ports.ts';
import type { HistoryMessage, HistoryPage } from '../wire/message.ts';
import { Payload } from '../wire/payload.ts';

/** Appends of one shard that the store has not answered; more are `busy`. */
const unsettledMax = 10_000;
const correlationMax = 0xffff_ffff;

interface Unsettled {
  body: StoreEntryBody;
  onSettled(settled: AppendSettled): void;
}

export class StorePort {
  readonly #links: ThreadLinks;
  /** In the order of submission, which is the order in which a new store thread is asked again. */
  readonly #appends = new Map<number, Unsettled>();
  readonly #pages = new Map<number, (page: HistoryPage | undefined) => void>();
  /** Undefined while the store's thread is gone. */
  #epoch: string | undefined;
  #last = 0;

  constructor(links: ThreadLinks) {
    this.#links = links;
  }

  append(entry: AppendEntry, onSettled: (settled: AppendSettled) => void): AppendSent {
    if (this.#epoch === undefined) return 'down';
    if (this.#appends.size >= unsettledMax) return 'full';
    const body = bodyOf(entry);
    const correlation = this.#nextCorrelation();
    const sent = this.#links.send(storePeer, 'storeAppend', correlation, body);
    if (sent !== 'taken') return sent === 'down' ? 'down' : 'full';
    this.#appends.set(correlation, { body, onSettled });
    return 'sent';
  }

  /** `onPage` gets undefined when it could not be read. */
  page(
    { topic, after, before, limit }: HistoryRequest,
    onPage: (page: HistoryPage | undefined) => void,
  ): AppendSent {
    if (this.#epoch === undefined) return 'down';
    if (this.#pages.size >= unsettledMax) return 'full';
    const correlation = this.#nextCorrelation();
    const sent = this.#links.send(storePeer, 'storePage', correlation, [
      topic,
      after ?? null,
      before ?? null,
      limit,
    ]);
    if (sent !== 'taken') return sent === 'down' ? 'down' : 'full';
    this.#pages.set(correlation, onPage);
    return 'sent';
  }

  /** A store thread is there: the first one, or one after a death. */
  onHello(epoch: string): void {
    this.#epoch = epoch;
    for (const [correlation, { body }] of this.#appends) {
      this.#links.send(storePeer, 'storeReappend', correlation, body);
    }
  }

  onDown(): void {
    this.#epoch = undefined;
    const pages = [...this.#pages.values()];
    this.#pages.clear();
    for (const onPage of pages) onPage(undefined);
  }

  onPaged(correlation: number, body: RecordBodies['storePaged']): void {
    const onPage = this.#pages.get(correlation);
    this.#pages.delete(correlation);
    onPage?.(pageOf(body, this.#epoch as string));
  }

  onAppended(correlation: number, body: RecordBodies['storeAppended']): void {
    const unsettled = this.#appends.get(correlation);
    this.#appends.delete(correlation);
    unsettled?.onSettled(settledOf(body, this.#epoch as string));
  }

  #nextCorrelation(): number {
    this.#last = this.#last === correlationMax ? 1 : this.#last + 1;
    return this.#last;
  }
}

function bodyOf(entry: AppendEntry): StoreEntryBody {
  const { topic, messageId, from, key, digest, event, priority, timestampMs, payload } = entry;
  return [
    ...([topic, messageId, from, key ?? null, digest] as const),
    ...([event ?? null, priority ?? null, timestampMs, payload] as const),
  ];
}

function pageOf(body: RecordBodies['storePaged'], epoch: string): HistoryPage | undefined {
  if (!body[0]) return undefined;
  const [, lastOffset, hasMore, ...messages] = body;
  return { epoch, lastOffset, hasMore, messages: messages.map(messageOf) };
}

function messageOf([
  offset,
  messageId,
  from,
  event,
  priority,
  timestamp,
  payload,
]: StoredMessageBody): HistoryMessage {
  return {
    ...{ offset, messageId, from, timestamp, payload: Payload.ofMsgpack(payload) },
    ...{ event: event ?? undefined, priority: priority ?? undefined },
  };
}

function settledOf(body: StoreAppendedBody, epoch: string): AppendSettled {
  switch (body[0]) {
    case 'stored':
      return { state: 'stored', position: { offset: body[1], epoch } };
    case 'duplicate':
      return { state: 'duplicate', messageId: body[2], position: { offset: body[1], epoch } };
    default:
      return { state: body[0] };
  }
}
