/**
 * The store's twin in memory: the same answers, nothing durable. For tests of what lies above the seam.
 * Called by tests; held to the seam by the contract suite.
 */
import type { TopicKey } from '#proto/names.ts';
import type {
  AppendEntry,
  AppendResult,
  HistoryStore,
  Page,
  PageRequest,
  StoredMessage,
} from './history-store.ts';

type Kept = StoredMessage & Pick<AppendEntry, 'key' | 'digest'>;

export class MemoryHistoryStore implements HistoryStore {
  readonly epoch: string;
  readonly #topics = new Map<TopicKey, Kept[]>();

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  async append(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
    return entries.map((entry) => this.#appendOne(entry));
  }

  async lastOffset(topic: TopicKey): Promise<number> {
    return this.#messagesOf(topic).length;
  }

  async page({ topic, after, before, limit }: PageRequest): Promise<Page> {
    const isForward = after !== undefined;
    const found = this.#messagesOf(topic).filter(
      ({ offset }) => offset > (after ?? 0) && offset < (before ?? Number.POSITIVE_INFINITY),
    );
    const page = isForward ? found.slice(0, limit) : found.slice(-limit);
    const messages = page.map(({ key: _key, digest: _digest, ...message }) => message);
    return { messages, hasMore: found.length > limit };
  }

  async close(): Promise<void> {}

  #appendOne({ topic, key, digest, ...message }: AppendEntry): AppendResult {
    const messages = this.#messagesOf(topic);
    const known = messages.find(({ messageId }) => messageId === message.messageId);
    if (known !== undefined) return { state: 'stored', offset: known.offset };
    const keyed = messages.find(
      (other) => key !== undefined && other.key === key && other.from === message.from,
    );
    if (keyed !== undefined) {
      if (keyed.digest !== digest) return { state: 'conflict' };
      return { state: 'duplicate', messageId: keyed.messageId, offset: keyed.offset };
    }
    const offset = messages.length + 1;
    messages.push({ ...message, key, digest, offset });
    return { state: 'stored', offset };
  }

  #messagesOf(topic: TopicKey): Kept[] {
    const messages = this.#topics.get(topic) ?? [];
    this.#topics.set(topic, messages);
    return messages;
  }
}
