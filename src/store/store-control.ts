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
import { ArchiveKeeper } from './archive.ts';
import { GroupCommit, groupCommitLimits } from './group-commit.ts';
import type { AppendEntry, HistoryStore } from './history-store.ts';
import { JobDesk } from './job-desk.ts';
import { PostgresHistoryStore } from './postgres/postgres-history-store.ts';
import { Retention } from './retention.ts';
import { SearchGate } from './search-gate.ts';
import { searchText } from './search-text.ts';
import { SessionSweep } from './session-sweep.ts';
import { SqliteHistoryStore } from './sqlite/sqlite-history-store.ts';
import { StoreBreaker } from './store-breaker.ts';
import { type StoreIntakeContext, takeStoreRecord } from './store-intake.ts';

/** What the primary tells the store at its birth. */
export interface StoreStart {
  config: Config;
  shared: SharedTables;
  /** The store's row in the table of metrics. */
  metricsRow: number;
  /** The process has just begun: it had no store's thread before this one. */
  isFirst: boolean;
}

/** Records of one shard before the next gets its turn. */
const recordsPerTurnMax = 1024;
/** A full ring is tried again after this long, milliseconds. */
const backlogRetryMs = 1;
/** A safety net below every doorbell, milliseconds. */
const tickMs = 25;

/** Serves `port` until the thread ends. */
export async function runStore(
  { config, shared, metricsRow, isFirst }: StoreStart,
  port: MessagePort,
): Promise<void> {
  const post = (message: FromStore) => port.postMessage(message);
  const log = createLogger(config, { write: (line) => post({ kind: 'logs', lines: [line] }) }, 'store');
  const jobs = new JobDesk((message, transfer) => port.postMessage(message, transfer));
  let store: HistoryStore;
  try {
    store = await openStore(config, jobs);
    if (isFirst) await releaseSessions(store, config);
  } catch (error) {
    post({ kind: 'failed', reason: (error as Error).message });
    process.exit(1);
  }
  const thread = new StoreThread(store, config, log, new MetricsRow(shared.metrics, metricsRow), jobs);
  port.on('message', (message: ToStore) => thread.onMessage(message, config.failpoints));
  post({ kind: 'ready' });
}

/** A batch whose fate is not found out in this time is asked for again, and nobody waits behind it. Milliseconds. */
const fateTimeoutMs = 1_000;

/** Rejects with a sentence that names the setting. */
async function openStore(config: Config, jobs: JobDesk): Promise<HistoryStore> {
  const { databaseUrl, dataDir, searchLanguage } = config;
  if (databaseUrl !== undefined)
    return PostgresHistoryStore.open(databaseUrl, { searchLanguage, fateTimeoutMs });
  return new SqliteHistoryStore(dataDir, {
    searchBeside: (request) => jobs.run('search', { dataDir, request }),
  });
}

/** Their connections ended with the process before this one. When a store's thread alone died, they are still there. */
async function releaseSessions(store: HistoryStore, { sessionTtlMs }: Config): Promise<void> {
  try {
    await store.releaseSessions({ expiresAtMs: systemClock.wallMs() + sessionTtlMs });
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(`${message}: ${(cause as Error | undefined)?.message}`, { cause: error });
  }
}

class StoreThread {
  readonly #store: HistoryStore;
  readonly #metrics: MetricsRow;
  readonly #links = new Map<ShardId, ThreadLink>();
  readonly #intake: StoreIntakeContext;
  readonly #breaker: StoreBreaker;
  readonly #retention: Retention;
  readonly #sweep: SessionSweep;
  readonly #archive: ArchiveKeeper;
  readonly #jobs: JobDesk;
  readonly #sessionTtlMs: number;
  readonly #log: Logger;
  #isTurnScheduled = false;

  constructor(store: HistoryStore, config: Config, log: Logger, metrics: MetricsRow, jobs: JobDesk) {
    this.#store = store;
    this.#metrics = metrics;
    this.#log = log;
    this.#jobs = jobs;
    this.#sessionTtlMs = config.sessionTtlMs;
    this.#breaker = new StoreBreaker(() => store.probe(), {
      onChange: (isUp) => this.#onHealth(isUp),
      onState: (state) => metrics.setOf('circuitBreakerState', 'store', state),
    });
    this.#intake = {
      store,
      commits: this.#openCommits(),
      searches: new SearchGate(),
      isUp: () => this.#breaker.isUp,
      onQuery: (name) => metrics.addTo('storeQueries', name),
      onFailure: (error) => log.error({ err: error }, 'the store could not answer'),
      wake: () => this.#wake(),
      textOf: (entry) => searchText(config.topics, entry),
      linkTo: (shard) => this.#links.get(shard),
    };
    this.#retention = new Retention({
      store,
      clock: systemClock,
      rules: config.topics,
      retentionMs: config.retentionMs,
      onPruned: (entryCount) => metrics.add('storePruned', entryCount),
      onFailure: (error) => log.error({ err: error }, 'what is too old could not be taken away'),
    });
    this.#retention.start();
    this.#sweep = new SessionSweep({
      ...{ store, clock: systemClock, isUp: () => this.#breaker.isUp },
      onFailure: (error) => log.error({ err: error }, 'sessions that are over could not be forgotten'),
    });
    this.#sweep.start();
    this.#archive = this.#openArchive(config);
    this.#archive.start();
    setInterval(() => this.#turn(), tickMs);
  }

  #openArchive(config: Config): ArchiveKeeper {
    const { retentionMs, archiveAfterMs, archiveDir, messageBytesMax } = config;
    return new ArchiveKeeper({
      ...{ store: this.#store, runJob: this.#jobs.run, clock: systemClock, rules: config.topics },
      ...{ retentionMs, archiveAfterMs, archiveDir, messageBytesMax },
      onArchived: ({ file, firstOffset, lastOffset }) => {
        this.#metrics.add('storeArchived', lastOffset - firstOffset + 1);
        this.#log.info({ file, firstOffset, lastOffset }, 'messages were moved to an archive');
      },
      onExpired: ({ file }) => this.#log.info({ file }, 'an archive was older than its retention'),
      onFailure: (error) => this.#log.error({ err: error }, 'archives could not be brought up to date'),
    });
  }

  #openCommits(): GroupCommit {
    const append = (entries: readonly AppendEntry[]) => this.#breaker.run(() => this.#store.append(entries));
    return new GroupCommit({ append }, groupCommitLimits, systemClock, {
      onBatch: (messageCount, tookMs, failure) => {
        this.#metrics.observe('storeCommit', tookMs / 1000);
        this.#metrics.addTo('storeMessages', failure === undefined ? 'stored' : 'failed', messageCount);
        if (failure !== undefined)
          this.#log.error({ err: failure, messageCount }, 'a batch could not be stored');
      },
    });
  }

  onMessage(message: ToStore, mayFail: boolean): void {
    switch (message.kind) {
      case 'link': {
        this.#links.get(message.peer)?.close();
        const ctx = { self: storePeer, clock: systemClock, metrics: this.#metrics };
        const link = new ThreadLink(message, ctx, () => this.#wake());
        this.#links.set(message.peer, link);
        link.send('storeHello', 0, packMsgpack([this.#store.epoch]));
        if (!this.#breaker.isUp) link.send('storeHealth', 0, packMsgpack([false]));
        return this.#wake();
      }
      case 'unlink':
        // What the shard wrote before its end is stored: it may have been told to others as on its way.
        this.#read(this.#links.get(message.peer), Number.POSITIVE_INFINITY);
        this.#links.get(message.peer)?.close();
        this.#links.delete(message.peer);
        return void this.#releaseSessions(message.peer);
      case 'jobDone':
        return this.#jobs.onDone(message);
      case 'exit':
        return void this.#end();
      case 'failpoint':
        if (mayFail && message.name === 'store.exit') process.exit(70);
    }
  }

  /** Whoever of its users is connected elsewhere attaches again, and is kept anew. */
  async #releaseSessions(home: ShardId): Promise<void> {
    try {
      const expiresAtMs = systemClock.wallMs() + this.#sessionTtlMs;
      await this.#store.releaseSessions({ expiresAtMs, home });
    } catch (error) {
      this.#log.error({ err: error }, 'sessions of a shard that ended could not be given their time');
    }
  }

  /** Told to every shard, and by them to their clients. */
  #onHealth(isUp: boolean): void {
    if (isUp) this.#log.info('the database is back');
    else this.#log.error('the database is away: what is durable is refused until it is back');
    for (const link of this.#links.values()) link.send('storeHealth', 0, packMsgpack([isUp]));
    this.#wake();
  }

  /** What was submitted is committed first. */
  async #end(): Promise<void> {
    this.#breaker.close();
    this.#retention.stop();
    this.#sweep.stop();
    this.#archive.stop();
    this.#jobs.close();
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
