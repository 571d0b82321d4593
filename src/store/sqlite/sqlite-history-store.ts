/**
 * History in SQLite: the embedded store, with nothing to install.
 * Thread: store, and only there: its calls are synchronous and wait for the disk.
 */
import { randomBytes } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ArchiveIndex, ArchiveLead } from '../archive-index.ts';
import {
  type AppendEntry,
  type AppendResult,
  type HistoryStore,
  type StoreQueries,
  StoreUnavailableError,
} from '../history-store.ts';
import { Appender } from './append.ts';
import { Archives } from './archives.ts';
import { KeptSessions } from './kept-sessions.ts';
import { type OpenedDatabase, openDatabase, openForReading } from './open-database.ts';
import { Pages } from './pages.ts';
import { Receipts } from './receipts.ts';
import { searchMessages } from './search.ts';
import { TopicRows } from './topic-rows.ts';
import { Upkeep } from './upkeep.ts';

type Request<Name extends keyof StoreQueries> = Parameters<StoreQueries[Name]>[0];
type Result<Name extends keyof StoreQueries> = ReturnType<StoreQueries[Name]>;

export interface SqliteOptions {
  readOnly?: boolean;
  searchBeside?: StoreQueries['search'];
}

export class SqliteHistoryStore implements HistoryStore {
  readonly epoch: string;
  readonly #opened: OpenedDatabase;
  readonly #topics: TopicRows;
  readonly #appender: Appender;
  readonly #pages: Pages;
  readonly #receipts: Receipts;
  readonly #keptSessions: KeptSessions;
  readonly #upkeep: Upkeep;
  readonly #archives: Archives;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #searchBeside: StoreQueries['search'] | undefined;

  /**
   * Opens DATA_DIR's database, made when missing; `:memory:` is one in memory. `readOnly` opens one that is there, whoever
   * else is using it, and refuses to write. `searchBeside` searches in another thread. Throws a sentence when it cannot be
   * used.
   */
  constructor(dataDir: string, { readOnly = false, searchBeside }: SqliteOptions = {}) {
    this.#searchBeside = searchBeside;
    this.#opened = readOnly ? openForReading(dataDir) : openDatabase(dataDir);
    const { database } = this.#opened;
    this.#topics = new TopicRows(database);
    this.#appender = new Appender(database, this.#topics);
    this.#pages = new Pages(database, this.#topics);
    this.#receipts = new Receipts(database, this.#topics);
    this.#keptSessions = new KeptSessions(database);
    this.#upkeep = new Upkeep(database, this.#topics);
    this.#archives = new Archives(database, this.#topics, this.#upkeep);
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
    this.epoch = epochOf(database);
  }

  async append(entries: readonly AppendEntry[]): Promise<AppendResult[]> {
    return this.#write('a batch', () => this.#appender.append(entries));
  }

  async page(request: Request<'page'>): Result<'page'> {
    return this.#read('a page', () => this.#pages.page(request));
  }

  async find(request: Request<'find'>): Result<'find'> {
    return this.#read('a message', () => this.#pages.find(request));
  }

  async search(request: Request<'search'>): Result<'search'> {
    if (this.#searchBeside === undefined)
      return this.#read('a search', () => searchMessages(this.#opened.database, request));
    try {
      return await this.#searchBeside(request);
    } catch (error) {
      throw new StoreUnavailableError('SQLite refused a search', { cause: error });
    }
  }

  async mark({ marks }: Request<'mark'>): Result<'mark'> {
    return this.#write('receipts', () => this.#receipts.mark(marks));
  }

  async receipts(request: Request<'receipts'>): Result<'receipts'> {
    return this.#read('receipts', () => this.#receipts.of(request));
  }

  async erase(request: Request<'erase'>): Result<'erase'> {
    return this.#write('an erasure', () => {
      this.#keptSessions.forget(request.tenant, request.user);
      return this.#upkeep.erase(request);
    });
  }

  async keep(request: Request<'keep'>): Result<'keep'> {
    return this.#write('sessions', () => this.#keptSessions.keep(request));
  }

  async kept(request: Request<'kept'>): Result<'kept'> {
    return this.#read('a session', () => this.#keptSessions.find(request));
  }

  async dropSessions(request: Request<'dropSessions'>): Result<'dropSessions'> {
    return this.#write('the end of sessions', () => this.#keptSessions.drop(request));
  }

  async seen({ users }: Request<'seen'>): Result<'seen'> {
    return this.#read('users', () => this.#keptSessions.seen(users));
  }

  async releaseSessions(
    request: Parameters<HistoryStore['releaseSessions']>[0],
  ): ReturnType<HistoryStore['releaseSessions']> {
    return this.#write('the release of sessions', () => this.#keptSessions.release(request));
  }

  async sweepSessions(
    request: Parameters<HistoryStore['sweepSessions']>[0],
  ): ReturnType<HistoryStore['sweepSessions']> {
    return this.#write('the end of sessions', () => this.#keptSessions.sweep(request));
  }

  async stats(request: Request<'stats'>): Result<'stats'> {
    return this.#read('statistics', () => this.#upkeep.stats(request));
  }

  async topics(request: Parameters<HistoryStore['topics']>[0]): ReturnType<HistoryStore['topics']> {
    return this.#read('topics', () => this.#upkeep.topics(request));
  }

  async prune(request: Parameters<HistoryStore['prune']>[0]): ReturnType<HistoryStore['prune']> {
    return this.#write('retention', () => this.#upkeep.prune(request));
  }

  async archives(request: Parameters<ArchiveIndex['archives']>[0]): ReturnType<ArchiveIndex['archives']> {
    return this.#read('archives', () => this.#archives.list(request));
  }

  async topicAges(request: Parameters<ArchiveIndex['topicAges']>[0]): ReturnType<ArchiveIndex['topicAges']> {
    return this.#read('topics', () => this.#archives.topicAges(request));
  }

  async erasures(): ReturnType<ArchiveIndex['erasures']> {
    return this.#read('erasures', () => this.#archives.erasures());
  }

  async leadArchives(): Promise<ArchiveLead> {
    const archives = this.#archives;
    const write = async <Answer>(run: () => Answer) => this.#write('an archive', run);
    return {
      move: (request) => write(() => archives.move(request)),
      replace: (request) => write(() => archives.replace(request)),
      drop: (archive) => write(() => archives.drop(archive)),
      restore: (request) => write(() => archives.restore(request)),
      blankEdits: (request) => write(() => archives.blankEdits(request)),
      settle: (erasure) => write(() => archives.settle(erasure)),
      release: async () => {},
    };
  }

  async probe(): Promise<void> {
    this.#write('a probe', () => this.#opened.database.exec('UPDATE store SET epoch = epoch'));
  }

  async close(): Promise<void> {
    this.#opened.close();
  }

  #read<Answer>(what: string, read: () => Answer): Answer {
    try {
      return read();
    } catch (error) {
      throw new StoreUnavailableError(`SQLite refused ${what}`, { cause: error });
    }
  }

  #write<Answer>(what: string, write: () => Answer): Answer {
    try {
      this.#begin.run();
      const answer = write();
      this.#commit.run();
      this.#topics.bound();
      return answer;
    } catch (error) {
      this.#topics.forget();
      const { database } = this.#opened;
      if (database.isOpen && database.isTransaction) database.exec('ROLLBACK');
      throw new StoreUnavailableError(`SQLite refused ${what}`, { cause: error });
    }
  }
}

function epochOf(database: DatabaseSync): string {
  const known = database.prepare('SELECT epoch FROM store').get() as { epoch: string } | undefined;
  if (known !== undefined) return known.epoch;
  const epoch = randomBytes(4).toString('hex');
  database.prepare('INSERT INTO store (epoch) VALUES (?)').run(epoch);
  return epoch;
}
