/**
 * The store's thread: one history store, a link to every shard.
 * Thread: store. Called by workers/store.ts. It owns no socket and no session; the primary starts it before the shards and
 * ends it after them.
 */
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '#kit/clock.ts';
import type { FromStore, SharedTables, ToStore } from '#proto/control.ts';
import { type ShardId, storePeer } from '#proto/names.ts';
import type { Config } from '../config/load-config.ts';
import { ThreadLink } from '../links/thread-link.ts';
import { createLogger, type Logger } from '../observe/logger.ts';
import { MetricsRow } from '../observe/metrics-table.ts';
import { packMsgpack } from '../wire/codec.ts';
import { GroupCommit, groupCommitLimits } from './group-commit.ts';
import type { HistoryStore } from './history-store.ts';
import { SqliteHistoryStore } from './sqlite/sqlite-history-store.ts';
import { type StoreIntakeContext, takeStoreRecord } from './store-intake.ts';

/** What the primary tells the store at its birth. */
export interface StoreStart {
  config: Config;
  shared: SharedTables;
  /** The store's row in the table of metrics. */
  metricsRow: number;
}

/** Records of one shard before the next gets its turn. */
const recordsPerTurnMax = 1024;
/** A full ring is tried again after this long, milliseconds. */
const backlogRetryMs = 1;
/** A safety net below every doorbell, milliseconds. */
const tickMs = 25;

/** Serves `port` until the thread ends. */
export function runStore({ config, shared, metricsRow }: StoreStart, port: MessagePort): void {
  const post = (message: FromStore) => port.postMessage(message);
  const log = createLogger(config, { write: (line) => post({ kind: 'logs', lines: [line] }) }, 'store');
  let store: HistoryStore;
  try {
    store = new SqliteHistoryStore(config.dataDir);
  } catch (error) {
    post({ kind: 'failed', reason: (error as Error).message });
    process.exit(1);
  }
  const thread = new StoreThread(store, log, new MetricsRow(shared.metrics, metricsRow));
  port.on('message', (message: ToStore) => thread.onMessage(message, config.failpoints));
  post({ kind: 'ready' });
}

class StoreThread {
  readonly #store: HistoryStore;
  readonly #metrics: MetricsRow;
  readonly #links = new Map<ShardId, ThreadLink>();
  readonly #intake: StoreIntakeContext;
  #isTurnScheduled = false;

  constructor(store: HistoryStore, log: Logger, metrics: MetricsRow) {
    this.#store = store;
    this.#metrics = metrics;
    const commits = new GroupCommit(store, groupCommitLimits, systemClock, {
      onBatch: (messageCount, tookMs, failure) => {
        metrics.observe('storeCommit', tookMs / 1000);
        metrics.addTo('storeMessages', failure === undefined ? 'stored' : 'failed', messageCount);
        if (failure !== undefined) log.error({ err: failure, messageCount }, 'a batch could not be stored');
      },
    });
    this.#intake = {
      ...{ store, commits },
      onFailure: (error) => log.error({ err: error }, 'history could not be read'),
      wake: () => this.#wake(),
    };
    setInterval(() => this.#turn(), tickMs);
  }

  onMessage(message: ToStore, mayFail: boolean): void {
    switch (message.kind) {
      case 'link': {
        this.#links.get(message.peer)?.close();
        const ctx = { self: storePeer, clock: systemClock, metrics: this.#metrics };
        const link = new ThreadLink(message, ctx, () => this.#wake());
        this.#links.set(message.peer, link);
        link.send('storeHello', 0, packMsgpack([this.#store.epoch]));
        return this.#wake();
      }
      case 'unlink':
        // What the shard wrote before its end is stored: it may have been told to others as on its way.
        this.#read(this.#links.get(message.peer), Number.POSITIVE_INFINITY);
        this.#links.get(message.peer)?.close();
        this.#links.delete(message.peer);
        return;
      case 'exit':
        return void this.#end();
      case 'failpoint':
        if (mayFail && message.name === 'store.exit') process.exit(70);
    }
  }

  /** What was submitted is committed first. */
  async #end(): Promise<void> {
    await this.#intake.commits.settled();
    await this.#store.close();
    process.exit(0);
  }

  #wake(): void {
    if (this.#isTurnScheduled) return;
    this.#isTurnScheduled = true;
    setImmediate(() => {
      this.#isTurnScheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    let hasMore = false;
    for (const link of this.#links.values()) {
      if (this.#read(link, recordsPerTurnMax) === recordsPerTurnMax) hasMore = true;
      link.flush();
      if (!link.tryArm()) hasMore = true;
      if (link.hasBacklog) setTimeout(() => this.#wake(), backlogRetryMs);
    }
    if (hasMore) this.#wake();
  }

  #read(link: ThreadLink | undefined, recordsMax: number): number {
    if (link === undefined) return 0;
    return link.read((header, body) => takeStoreRecord(link, header, body, this.#intake), recordsMax);
  }
}
