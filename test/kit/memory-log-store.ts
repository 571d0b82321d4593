/**
 * A store in memory behind the port that logs and sessions have of it. It keeps the promises of src/store/history-store.ts,
 * as far as tests of what lies before the store need them, and answers when it is told to.
 */
import { type MessageId, type TopicKey, tenantOfKey, topicOfKey, type UserId } from '#proto/names.ts';
import type {
  AppendRequest,
  AppendSettled,
  LogStore,
  QueryRequest,
  QueryResult,
  Sent,
} from '../../src/log/ports.ts';
import type {
  FoundMessage,
  PageRequest,
  ReceiptMark,
  SearchRequest,
  StoredMessage,
  StoreQueryName,
} from '../../src/store/history-store.ts';
import { Payload } from '../../src/wire/payload.ts';
import { MemoryKeptSessions } from './memory-kept-sessions.ts';

const nil = Payload.ofValue(null).msgpack;

interface Log {
  entries: StoredMessage[];
  firstOffset: number;
}

interface Asked {
  answer: () => void;
  /** The store could not. */
  fail: () => void;
}

type Settled = Extract<AppendSettled, { offset: number }>;

export class MemoryLogStore implements LogStore {
  epoch: string | undefined = 'e1';
  /** What is said to everybody who comes. */
  door: Sent = 'sent';
  /** Questions so far, in order. */
  readonly asked: [name: StoreQueryName, request: object][] = [];
  readonly marks: ReceiptMark[] = [];
  readonly keptSessions = new MemoryKeptSessions();
  /** An entry of the other inbox of a direct message; called behind the answer to who asked for it. */
  onCopied: (copy: NonNullable<AppendRequest['copy']>, message: StoredMessage) => void = () => {};
  readonly #logs = new Map<TopicKey, Log>();
  readonly #keys = new Map<string, { digest: number; settled: Settled }>();
  #waiting: Asked[] = [];

  /** Questions and entries that were taken and not answered. */
  get waitingCount(): number {
    return this.#waiting.length;
  }

  append = (request: AppendRequest, onSettled: (settled: AppendSettled) => void): Sent => {
    if (this.door !== 'sent') return this.door;
    this.#waiting.push({
      answer: () => {
        const settled = this.commit(request);
        onSettled(settled);
        this.#tellCopy(request, settled);
      },
      fail: () => onSettled({ state: 'unavailable' }),
    });
    return 'sent';
  };

  ask = <Name extends StoreQueryName>(
    name: Name,
    request: QueryRequest<Name>,
    onResult: (result: QueryResult<Name> | undefined) => void,
  ): Sent => {
    this.asked.push([name, request]);
    if (this.door !== 'sent') return this.door;
    this.#waiting.push({
      answer: () => onResult(this.#resultOf(name, request) as QueryResult<Name>),
      fail: () => onResult(undefined),
    });
    return 'sent';
  };

  /** Answers all that waits, and what is asked for in the answers. */
  settle(): void {
    while (this.#waiting.length > 0) this.answerNext();
  }

  answerNext(): void {
    this.#waiting.shift()?.answer();
  }

  /** All that waits now could not be done. */
  fail(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { fail } of waiting) fail();
  }

  /** As a store thread does that dies before it answers; nobody hears of it. */
  commit(request: AppendRequest): AppendSettled {
    const { topic, from, key, digest, copy, messageId } = request;
    const name = `${topic}\n${from}\n${key}`;
    const known = key === undefined ? undefined : this.#keys.get(name);
    if (known !== undefined) {
      return known.digest === digest
        ? ({ ...known.settled, state: 'duplicate' } as AppendSettled)
        : { state: 'conflict' };
    }
    const refused = this.#refusalOf(request);
    if (refused !== undefined) return { state: refused };
    const offset = this.#add(topic, request, request.peer);
    const copyOffset = copy === undefined ? undefined : this.#add(copy.topic, request, copy.peer);
    const settled = { state: 'stored' as const, offset, copyOffset };
    if (key !== undefined)
      this.#keys.set(name, { digest, settled: { ...settled, state: 'duplicate', messageId } });
    return settled;
  }

  /** Everything below `firstOffset` is not kept any more. */
  prune(topic: TopicKey, firstOffset: number): void {
    const log = this.#logOf(topic);
    log.firstOffset = firstOffset;
    log.entries = log.entries.filter(({ offset }) => offset >= firstOffset);
  }

  entries(topic: TopicKey): readonly StoredMessage[] {
    return this.#logOf(topic).entries;
  }

  page({
    topic,
    view,
    peer,
    after,
    before = Number.POSITIVE_INFINITY,
    limit,
  }: PageRequest): QueryResult<'page'> {
    const { entries, firstOffset } = this.#logOf(topic);
    const fitting = entries.filter(
      (entry) =>
        entry.offset > (after ?? 0) &&
        entry.offset < before &&
        (view === 'log' || entry.kind === 'message') &&
        (peer === undefined || entry.peer === peer),
    );
    const messages =
      after === undefined ? fitting.slice(Math.max(0, fitting.length - limit)) : fitting.slice(0, limit);
    return {
      messages: messages.map((message) => ({ ...message })),
      hasMore: fitting.length > messages.length,
      firstOffset,
      lastOffset: this.#lastOffset(topic),
    };
  }

  #resultOf(name: StoreQueryName, request: object): unknown {
    switch (name) {
      case 'page':
        return this.page(request as PageRequest);
      case 'find':
        return this.#find(request as QueryRequest<'find'>);
      case 'search':
        return this.#search(request as SearchRequest);
      case 'mark':
        this.marks.push(...(request as QueryRequest<'mark'>).marks);
        return null;
      case 'receipts':
        return this.#receipts(request as QueryRequest<'receipts'>);
      case 'keep':
        this.keptSessions.keep(request as QueryRequest<'keep'>);
        return null;
      case 'kept':
        return this.keptSessions.kept(request as QueryRequest<'kept'>);
      case 'dropSessions':
        this.keptSessions.dropSessions(request as QueryRequest<'dropSessions'>);
        return null;
      case 'seen':
        return this.keptSessions.seen(request as QueryRequest<'seen'>);
      default:
        throw new Error(`no test has asked for ${name} yet`);
    }
  }

  #find({ tenant, messageId }: QueryRequest<'find'>): FoundMessage[] {
    return [...this.#logs].flatMap(([topic, { entries }]) =>
      tenantOfKey(topic) === tenant
        ? entries
            .filter((entry) => isMessage(entry, messageId))
            .map((message) => ({ topic, message: { ...message } }))
        : [],
    );
  }

  /** Everything in the places that were named, whatever the words. */
  #search({ tenant, within, inbox, limit }: SearchRequest): QueryResult<'search'> {
    const found = [...this.#logs].flatMap(([key, { entries }]) => {
      const topic = topicOfKey(key);
      if (tenantOfKey(key) !== tenant || !(within.includes(topic) || within.includes('*') || topic === inbox))
        return [];
      const visible = entries.filter(
        ({ kind, deletedAtMs }) => kind === 'message' && deletedAtMs === undefined,
      );
      return visible.map((message) => ({ topic, message: { ...message }, rank: 1 }));
    });
    return { messages: found.slice(0, limit), hasMore: found.length > limit };
  }

  #receipts({ topic, offset, limit }: QueryRequest<'receipts'>): QueryResult<'receipts'> {
    const reached = this.marks.filter((mark) => mark.topic === topic && mark.offset >= offset);
    const atMs = (user: UserId, kinds: string[]) =>
      reached.find((mark) => mark.user === user && kinds.includes(mark.kind))?.atMs;
    return [...new Set(reached.map(({ user }) => user))]
      .sort()
      .slice(0, limit)
      .map((user) => ({
        user,
        deliveredAtMs: atMs(user, ['delivered', 'read']),
        readAtMs: atMs(user, ['read']),
      }));
  }

  #refusalOf({ kind, topic, target, from, mayAmendAny }: AppendRequest): 'missing' | 'forbidden' | undefined {
    if (kind === 'message') return undefined;
    const message = this.#logOf(topic).entries.find((entry) => isMessage(entry, target));
    if (message === undefined || message.deletedAtMs !== undefined) return 'missing';
    return message.from === from || mayAmendAny ? undefined : 'forbidden';
  }

  #add(topic: TopicKey, request: AppendRequest, peer: UserId | undefined): number {
    const log = this.#logOf(topic);
    const { kind, target, payload, timestampMs } = request;
    for (const [index, entry] of log.entries.entries()) {
      if (kind === 'edited' && isMessage(entry, target)) {
        log.entries[index] = { ...entry, payload, editedAtMs: timestampMs };
      } else if (kind === 'deleted' && isMessage(entry, target)) {
        log.entries[index] = { ...entry, payload: nil, deletedAtMs: timestampMs };
      } else if (kind === 'deleted' && entry.target === target)
        log.entries[index] = { ...entry, payload: nil };
    }
    const entry = { ...storedOf(request), peer, offset: this.#lastOffset(topic) + 1 };
    log.entries.push(entry);
    return entry.offset;
  }

  #tellCopy(request: AppendRequest, settled: AppendSettled): void {
    if (settled.state !== 'stored' || settled.copyOffset === undefined || request.copy === undefined) return;
    const { copy } = request;
    this.onCopied(copy, { ...storedOf(request), peer: copy.peer, offset: settled.copyOffset });
  }

  #lastOffset(topic: TopicKey): number {
    const { entries, firstOffset } = this.#logOf(topic);
    return entries.at(-1)?.offset ?? firstOffset - 1;
  }

  #logOf(topic: TopicKey): Log {
    const log = this.#logs.get(topic) ?? { entries: [], firstOffset: 1 };
    this.#logs.set(topic, log);
    return log;
  }
}

/** Without its place. */
function storedOf(request: AppendRequest): Omit<StoredMessage, 'offset'> {
  const { kind, messageId, from, peer, target, event, priority, payload, timestampMs } = request;
  return {
    ...{ kind, messageId, from, peer, target, event, priority, payload, timestampMs },
    ...{ editedAtMs: undefined, deletedAtMs: undefined },
  };
}

function isMessage(entry: StoredMessage, messageId: MessageId | undefined): boolean {
  return entry.kind === 'message' && entry.messageId === messageId;
}
