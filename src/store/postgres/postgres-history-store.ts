/**
 * History in PostgreSQL: the store of several servers, and of those who have one already.
 * Thread: store. Appends have a connection of their own, everything else shares a few: a slow search delays no message.
 */
import type { ClientConfig } from 'pg';
import type { ArchiveIndex, ArchiveLead } from '../archive-index.ts';
import {
  type AppendEntry,
  type AppendResult,
  type HistoryStore,
  type StoreQueries,
  StoreUnavailableError,
} from '../history-store.ts';
import { Batch } from './append.ts';
import { LeadConnection } from './archive-lead.ts';
import * as archives from './archives.ts';
import { clientConfig, defaultOptions, type PostgresOptions } from './connect.ts';
import { isStored } from './fate.ts';
import * as sessions from './kept-sessions.ts';
import { openDatabase } from './open-database.ts';
import { findMessage, pageOf } from './pages.ts';
import { Partitions } from './partitions.ts';
import { Readers } from './readers.ts';
import { markReceipts, receiptsOf } from './receipts.ts';
import { searchMessages } from './search.ts';
import { CommitUnknownError, type Sql, sqlStateOf } from './sql.ts';
import { TopicIds } from './topic-rows.ts';
import { Turns } from './turns.ts';
import { erase, probe, prune, statsOf, topicsOf } from './upkeep.ts';
import { Writer } from './writer.ts';

type Request<Name extends keyof StoreQueries> = Parameters<StoreQueries[Name]>[0];
type Result<Name extends keyof StoreQueries> = ReturnType<StoreQueries[Name]>;

/** Nothing is stored, and the same may succeed at once. */
const deadlocks = new Set(['40P01', '40001']);

export class PostgresHistoryStore implements HistoryStore {
  readonly epoch: string;
  readonly #config: ClientConfig;
  readonly #options: PostgresOptions;
  readonly #partitions: Partitions;
  readonly #writer: Writer;
  readonly #readers: Readers;
  readonly #topicIds = new TopicIds();
  /** Of `keep`: what was said last of a session is what is kept. */
  readonly #keeps = new Turns();

  /** Rejects with a sentence when the database cannot be used. */
  static async open(
    databaseUrl: string,
    options: Partial<PostgresOptions> = {},
  ): Promise<PostgresHistoryStore> {
    const all = { ...defaultOptions, ...options };
    const config = clientConfig(databaseUrl, all);
    const partitions = new Partitions();
    const { searchLanguage } = all;
    const epoch = await openDatabase(databaseUrl, config, { partitions, searchLanguage });
    return new PostgresHistoryStore(epoch, config, all, partitions);
  }

  private constructor(epoch: string, config: ClientConfig, options: PostgresOptions, partitions: Partitions) {
    this.epoch = epoch;
    this.#config = config;
    this.#options = options;
    this.#partitions = partitions;
    this.#writer = new Writer(config);
    this.#readers = new Readers(config, options.readersMax);
  }

  async append(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
    if (entries.length === 0) return [];
    await this.#partitions.ensure(entries, (work) => this.#writer.transaction(work));
    return refusing('a batch', () => twiceIfDeadlocked(() => this.#append(entries)));
  }

  page(request: Request<'page'>): Result<'page'> {
    return refusing('a page', () => this.#readers.read((sql) => pageOf(sql, request)));
  }

  find(request: Request<'find'>): Result<'find'> {
    return refusing('a message', () => this.#readers.read((sql) => findMessage(sql, request)));
  }

  search(request: Request<'search'>): Result<'search'> {
    const { searchLanguage } = this.#options;
    return refusing('a search', () =>
      this.#readers.read((sql) => searchMessages(sql, request, searchLanguage)),
    );
  }

  mark({ marks }: Request<'mark'>): Result<'mark'> {
    return refusing('receipts', () => this.#readers.read((sql) => markReceipts(sql, marks)));
  }

  receipts(request: Request<'receipts'>): Result<'receipts'> {
    return refusing('receipts', () => this.#readers.read((sql) => receiptsOf(sql, request)));
  }

  erase(request: Request<'erase'>): Result<'erase'> {
    return refusing('an erasure', () => erase(this.#readers, request));
  }

  keep(request: Request<'keep'>): Result<'keep'> {
    const write = () => this.#readers.transaction((sql) => sessions.keep(sql, request));
    return refusing('sessions', () => this.#keeps.take(() => twiceIfDeadlocked(write)));
  }

  kept(request: Request<'kept'>): Result<'kept'> {
    return refusing('a session', () => this.#readers.read((sql) => sessions.keptSession(sql, request)));
  }

  dropSessions(request: Request<'dropSessions'>): Result<'dropSessions'> {
    const drop = () => this.#readers.read((sql) => sessions.dropSessions(sql, request));
    return refusing('the end of sessions', () => this.#keeps.take(() => twiceIfDeadlocked(drop)));
  }

  seen({ users }: Request<'seen'>): Result<'seen'> {
    return refusing('users', () => this.#readers.read((sql) => sessions.seenUsers(sql, users)));
  }

  releaseSessions(
    request: Parameters<HistoryStore['releaseSessions']>[0],
  ): ReturnType<HistoryStore['releaseSessions']> {
    const release = () => this.#readers.longTransaction((sql) => sessions.releaseSessions(sql, request));
    return refusing('the release of sessions', () => this.#keeps.take(release));
  }

  sweepSessions(
    request: Parameters<HistoryStore['sweepSessions']>[0],
  ): ReturnType<HistoryStore['sweepSessions']> {
    return refusing('the end of sessions', () =>
      this.#readers.read((sql) => sessions.sweepSessions(sql, request)),
    );
  }

  stats(request: Request<'stats'>): Result<'stats'> {
    return refusing('statistics', () => this.#readers.longTransaction((sql) => statsOf(sql, request)));
  }

  topics(request: Parameters<HistoryStore['topics']>[0]): ReturnType<HistoryStore['topics']> {
    return refusing('topics', () => this.#readers.read((sql) => topicsOf(sql, request)));
  }

  prune(request: Parameters<HistoryStore['prune']>[0]): ReturnType<HistoryStore['prune']> {
    return refusing('retention', () => this.#readers.transaction((sql) => prune(sql, request)));
  }

  archives(request: Parameters<ArchiveIndex['archives']>[0]): ReturnType<ArchiveIndex['archives']> {
    return refusing('archives', () => this.#readers.read((sql) => archives.listArchives(sql, request)));
  }

  topicAges(request: Parameters<ArchiveIndex['topicAges']>[0]): ReturnType<ArchiveIndex['topicAges']> {
    return refusing('topics', () => this.#readers.read((sql) => archives.topicAgesOf(sql, request)));
  }

  erasures(): ReturnType<ArchiveIndex['erasures']> {
    return refusing('erasures', () => this.#readers.read((sql) => archives.erasuresOf(sql)));
  }

  async leadArchives({
    waitMs,
  }: Parameters<ArchiveIndex['leadArchives']>[0]): ReturnType<ArchiveIndex['leadArchives']> {
    const lead = await refusing('the lead of archives', () => LeadConnection.tryOpen(this.#config, waitMs));
    return lead && this.#leadThrough(lead);
  }

  probe(): Promise<void> {
    return refusing('a probe', () => this.#writer.transaction(probe));
  }

  async close(): Promise<void> {
    await this.#keeps.settled();
    await this.#writer.close();
    await this.#readers.close();
  }

  #leadThrough(lead: LeadConnection): ArchiveLead {
    const write = <Answer>(run: (sql: Sql) => Promise<Answer>) =>
      refusing('an archive', () => lead.transaction(run));
    const { searchLanguage } = this.#options;
    return {
      move: (request) => write((sql) => archives.moveToArchive(sql, request)),
      replace: (request) => write((sql) => archives.replaceArchive(sql, request)),
      drop: (archive) => write((sql) => archives.dropArchive(sql, archive)),
      restore: async (request) => {
        await this.#partitions.ensure(request.entries, (work) => this.#writer.transaction(work));
        return write((sql) => archives.restoreArchive(sql, request, searchLanguage));
      },
      blankEdits: (request) => write((sql) => archives.blankEdits(sql, request)),
      settle: (erasure) => write((sql) => archives.settleErasure(sql, erasure)),
      release: () => lead.close(),
    };
  }

  async #append(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
    const batch = new Batch(entries, this.#topicIds, this.#options.searchLanguage);
    try {
      await this.#writer.transaction((sql) => batch.run(sql));
    } catch (error) {
      if (!(error instanceof CommitUnknownError)) throw error;
      await this.#settle(batch, error);
    }
    batch.onStored();
    return batch.results;
  }

  /** Resolves when the batch is stored after all. */
  async #settle(batch: Batch, error: CommitUnknownError): Promise<void> {
    if (batch.evidence === undefined) return;
    const { fateTimeoutMs } = this.#options;
    const stored = await isStored(batch.evidence, fateTimeoutMs, (run) => this.#writer.ask(run));
    if (stored === true) return;
    const isFateUnknown = stored === undefined;
    throw new StoreUnavailableError('PostgreSQL refused a batch', { cause: error, isFateUnknown });
  }
}

/** Locks are taken in one order here; whoever else holds some (an operator by hand) may not know it. */
async function twiceIfDeadlocked<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!deadlocks.has(sqlStateOf(error) ?? '')) throw error;
  }
  return work();
}

async function refusing<Answer>(what: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    throw refusal(what, error);
  }
}

function refusal(what: string, cause: unknown): StoreUnavailableError {
  if (cause instanceof StoreUnavailableError) return cause;
  return new StoreUnavailableError(`PostgreSQL refused ${what}`, { cause });
}
