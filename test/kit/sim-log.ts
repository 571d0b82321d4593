/**
 * The log of a simulation: what src/store/history-store.ts promises, in memory, quick enough for ten thousand runs. It never
 * forgets: what retention took away, and what an entry was before it was edited, is still known to the judge.
 */
import type { MessageId, TopicKey, UserId } from '#proto/names.ts';
import { tenantOfKey } from '#proto/names.ts';
import type {
  AppendEntry,
  AppendResult,
  FoundMessage,
  Page,
  PageRequest,
  StoredMessage,
} from '../../src/store/history-store.ts';
import { MemoryKeptSessions } from './memory-kept-sessions.ts';

const nil = Uint8Array.of(0xc0);

/** An entry as it was committed. */
export type CommittedEntry = Pick<
  AppendEntry,
  'kind' | 'messageId' | 'from' | 'target' | 'event' | 'payload'
> & {
  offset: number;
  peer: UserId | undefined;
};

interface TopicLog {
  /** By offset, the first one at 0. */
  stored: StoredMessage[];
  committed: CommittedEntry[];
  firstOffset: number;
}

interface Keyed {
  digest: number;
  messageId: MessageId;
}

export class SimLog {
  readonly epoch = 'sim';
  readonly keptSessions = new MemoryKeptSessions();
  readonly #topics = new Map<TopicKey, TopicLog>();
  readonly #keys = new Map<string, Keyed>();
  /** Offsets by topic and message id. */
  readonly #offsets = new Map<string, number>();

  topics(): TopicKey[] {
    return [...this.#topics.keys()];
  }

  /** Everything that was ever committed, in order. */
  committed(topic: TopicKey): readonly CommittedEntry[] {
    return this.#topics.get(topic)?.committed ?? [];
  }

  firstOffset(topic: TopicKey): number {
    return this.#topics.get(topic)?.firstOffset ?? 1;
  }

  append(entries: readonly AppendEntry[]): AppendResult[] {
    return entries.map((entry) => this.#appendOne(entry));
  }

  page({ topic, view, peer, after, before = Number.POSITIVE_INFINITY, limit }: PageRequest): Page {
    const { stored, firstOffset } = this.#topicOf(topic);
    const kept = stored.slice(firstOffset - 1);
    const fitting = kept.filter(
      (entry) =>
        entry.offset > (after ?? 0) &&
        entry.offset < before &&
        (view === 'log' || entry.kind === 'message') &&
        (peer === undefined || entry.peer === peer),
    );
    const start = after === undefined ? Math.max(0, fitting.length - limit) : 0;
    return {
      messages: fitting.slice(start, start + limit).map((entry) => ({ ...entry })),
      hasMore: fitting.length > limit,
      firstOffset,
      lastOffset: stored.length,
    };
  }

  find({ tenant, messageId }: { tenant: string; messageId: MessageId }): FoundMessage[] {
    const found: FoundMessage[] = [];
    for (const [topic, { stored, firstOffset }] of this.#topics) {
      const offset = this.#offsets.get(`${topic}\n${messageId}`);
      if (tenantOfKey(topic) !== tenant || offset === undefined || offset < firstOffset) continue;
      const message = stored[offset - 1] as StoredMessage;
      if (message.kind === 'message') found.push({ topic, message: { ...message } });
    }
    return found;
  }

  /** The oldest entries that were accepted before that time, never all. */
  prune(topic: TopicKey, { keep, beforeMs }: { keep: number; beforeMs: number }): void {
    const log = this.#topicOf(topic);
    while (log.firstOffset <= log.stored.length - keep) {
      if ((log.stored[log.firstOffset - 1] as StoredMessage).timestampMs >= beforeMs) return;
      log.firstOffset++;
    }
  }

  #appendOne(entry: AppendEntry): AppendResult {
    const { topic, messageId, from, key, digest, copy, kind } = entry;
    const known = this.#offsets.get(`${topic}\n${messageId}`);
    if (entry.isRepeat && known !== undefined)
      return { state: 'stored', offset: known, copyOffset: this.#copyOffset(entry, messageId) };
    const keyName = `${topic}\n${from}\n${key}`;
    const keyed = key === undefined ? undefined : this.#keys.get(keyName);
    if (keyed !== undefined) return this.#repeated(entry, keyed);
    const refused = kind === 'message' ? undefined : this.#amend(entry);
    if (refused !== undefined) return { state: refused };
    if (key !== undefined) this.#keys.set(keyName, { digest, messageId });
    const offset = this.#add(topic, entry, entry.peer);
    return { state: 'stored', offset, copyOffset: copy && this.#add(copy.topic, entry, copy.peer) };
  }

  #repeated(entry: AppendEntry, { digest, messageId }: Keyed): AppendResult {
    if (digest !== entry.digest) return { state: 'conflict' };
    const offset = this.#offsets.get(`${entry.topic}\n${messageId}`) as number;
    return { state: 'duplicate', messageId, offset, copyOffset: this.#copyOffset(entry, messageId) };
  }

  #copyOffset({ copy }: AppendEntry, messageId: MessageId): number | undefined {
    return copy && this.#offsets.get(`${copy.topic}\n${messageId}`);
  }

  #amend({ topic, copy, target, from, mayAmendAny, kind, payload, timestampMs }: AppendEntry) {
    const topics = copy === undefined ? [topic] : [topic, copy.topic];
    const [first, ...others] = topics.map((place) => this.#message(place, target));
    if (first === undefined || first.deletedAtMs !== undefined) return 'missing';
    if (first.from !== from && !mayAmendAny) return 'forbidden';
    for (const message of [first, ...others]) {
      if (message === undefined) continue;
      message.payload = kind === 'edited' ? payload : nil;
      if (kind === 'edited') message.editedAtMs = timestampMs;
      else message.deletedAtMs = timestampMs;
    }
    if (kind === 'deleted') for (const place of topics) this.#blankEdits(place, target);
    return undefined;
  }

  #message(topic: TopicKey, messageId: MessageId | undefined): StoredMessage | undefined {
    const offset = this.#offsets.get(`${topic}\n${messageId}`);
    const { stored, firstOffset } = this.#topicOf(topic);
    const message = offset === undefined || offset < firstOffset ? undefined : stored[offset - 1];
    return message?.kind === 'message' ? message : undefined;
  }

  #blankEdits(topic: TopicKey, target: MessageId | undefined): void {
    for (const entry of this.#topicOf(topic).stored) if (entry.target === target) entry.payload = nil;
  }

  #add(topic: TopicKey, entry: AppendEntry, peer: UserId | undefined): number {
    const { stored, committed } = this.#topicOf(topic);
    const { kind, messageId, from, target, event, priority, payload, timestampMs } = entry;
    const offset = stored.length + 1;
    const common = { kind, offset, messageId, from, peer, target, event, payload };
    stored.push({ ...common, priority, timestampMs, editedAtMs: undefined, deletedAtMs: undefined });
    committed.push(common);
    this.#offsets.set(`${topic}\n${messageId}`, offset);
    return offset;
  }

  #topicOf(topic: TopicKey): TopicLog {
    let log = this.#topics.get(topic);
    if (log === undefined) {
      log = { stored: [], committed: [], firstOffset: 1 };
      this.#topics.set(topic, log);
    }
    return log;
  }
}
