/**
 * The store's thread of a simulation: real group commit, real intake and queries, a log in memory as the disk.
 * `sqlite`: what is asked is done at once and in order. `postgres`: it takes a while, questions overtake each other, and what
 * a question sees and when it is answered are two moments. It dies between any two effects, and may be away.
 */
import type { Clock } from '#kit/clock.ts';
import type { ShardId } from '#proto/names.ts';
import type { ThreadLink } from '../../src/links/thread-link.ts';
import { GroupCommit, groupCommitLimits } from '../../src/store/group-commit.ts';
import { type HistoryStore, StoreUnavailableError } from '../../src/store/history-store.ts';
import { Turns } from '../../src/store/postgres/turns.ts';
import { SearchGate } from '../../src/store/search-gate.ts';
import { type StoreIntakeContext, takeStoreRecord } from '../../src/store/store-intake.ts';
import { packMsgpack } from '../../src/wire/codec.ts';
import type { Effects, SimLink } from './sim-link.ts';
import type { SimLog } from './sim-log.ts';
import type { Dice } from './sim-random.ts';
import { SimTimers } from './sim-timers.ts';

export type StoreKind = 'sqlite' | 'postgres';

export interface StorePace {
  storeKind: StoreKind;
  storeJobsMax: number;
}

/** Work of the database: done, then told. */
interface Job {
  /** Also of what homes keep: it may be done, and the answer lost. */
  isAppend: boolean;
  act: () => void;
  tell: () => void;
  fail: (isFateUnknown: boolean) => void;
  isDone: boolean;
}

const retryAfterMs = 2000;
/** Promises between a call and all that follows from it, with some to spare. */
const microtasks = 16;

export class SimStore {
  readonly effects: Effects;
  readonly #log: SimLog;
  readonly #kind: StoreKind;
  readonly #jobsMax: number;
  readonly #links = new Map<ShardId, SimLink>();
  readonly #commits: GroupCommit;
  readonly #intake: StoreIntakeContext;
  readonly failures: unknown[] = [];
  readonly #timers: SimTimers;
  #jobs: Job[] = [];
  /** Answers of a database that was lost sight of, told in the next turn. */
  #late: (() => void)[] = [];
  #isAway = false;

  constructor(
    log: SimLog,
    { storeKind, storeJobsMax }: StorePace,
    { clock, effects }: { clock: Clock; effects: Effects },
  ) {
    this.#log = log;
    this.#kind = storeKind;
    this.#jobsMax = storeJobsMax;
    this.effects = effects;
    this.#timers = new SimTimers(clock);
    const store = this.#facade();
    this.#commits = new GroupCommit(store, groupCommitLimits, clock, { onBatch: () => {} });
    this.#intake = {
      ...{ store, commits: this.#commits, searches: new SearchGate() },
      wake: () => {},
      textOf: () => undefined,
      onFailure: (error) => {
        if (!(error instanceof StoreUnavailableError)) this.failures.push(error);
      },
      linkTo: (shard) => this.#links.get(shard) as ThreadLink | undefined,
      isUp: () => !this.#isAway,
      onQuery: () => {},
    };
  }

  get isBusy(): boolean {
    if (this.#jobs.length + this.#late.length + this.#timers.size > 0) return true;
    for (const link of this.#links.values()) if (link.unreadCount > 0) return true;
    return false;
  }

  onLink(peer: ShardId, link: SimLink): void {
    this.#links.set(peer, link);
    link.send('storeHello', 0, packMsgpack([this.#log.epoch]));
    if (this.#isAway) link.send('storeHealth', 0, packMsgpack([false, retryAfterMs]));
  }

  /** What the shard wrote before its end is stored. */
  onUnlink(peer: ShardId): void {
    const link = this.#links.get(peer);
    if (link !== undefined) this.#read(link, Number.POSITIVE_INFINITY);
    this.#links.delete(peer);
  }

  /** The database cannot be reached, or can again. Of what was on its way there nobody may know what became. */
  setAway(isAway: boolean, dice: Dice): void {
    if (this.#isAway === isAway) return;
    this.#isAway = isAway;
    for (const { isAppend, isDone, act, tell, fail } of this.#jobs.splice(0)) {
      const isLost = isAppend && dice.chance(0.5);
      if (isLost && !isDone && dice.chance(0.5)) act();
      this.#late.push(() => (isDone && !isLost ? tell() : fail(isLost)));
    }
    for (const link of this.#links.values()) {
      link.send('storeHealth', 0, packMsgpack([!isAway, retryAfterMs]));
    }
  }

  async turn(dice: Dice): Promise<void> {
    await this.#timers.during(() => this.#turn(dice));
  }

  async #turn(dice: Dice): Promise<void> {
    this.#timers.turn();
    for (const tell of this.#late.splice(0)) tell();
    for (const link of this.#links.values()) {
      if (link.unreadCount > 0) this.#read(link, dice.chance(0.7) ? 1024 : dice.between(0, link.unreadCount));
    }
    await settle(); // also of what was told above
    for (let count = dice.between(0, this.#jobsMax); count > 0 && this.#jobs.length > 0; count--) {
      const job = dice.pick(this.#jobs);
      if (!job.isDone) {
        job.act();
        job.isDone = true;
        if (dice.chance(0.5)) continue; // and is told later
      }
      this.#jobs = this.#jobs.filter((other) => other !== job);
      job.tell();
      await settle();
    }
  }

  /** The last turn is over; what the database was given may be done all the same. */
  onDead(dice: Dice): void {
    for (const { isAppend, isDone, act } of this.#jobs) if (isAppend && !isDone && dice.chance(0.5)) act();
    this.#jobs = [];
    this.#late = [];
  }

  #read(link: SimLink, recordsMax: number): void {
    const seen = link as unknown as ThreadLink;
    link.read((header, body) => takeStoreRecord(seen, header, body, this.#intake), recordsMax);
  }

  /** Of what no simulated client asks there is nothing. */
  #facade(): HistoryStore {
    const log = this.#log;
    const { keptSessions } = log;
    const keeps = new Turns();
    return {
      epoch: log.epoch,
      append: (entries: Parameters<HistoryStore['append']>[0]) => this.#do(true, () => log.append(entries)),
      page: (request: Parameters<HistoryStore['page']>[0]) => this.#do(false, () => log.page(request)),
      find: (request: Parameters<HistoryStore['find']>[0]) => this.#do(false, () => log.find(request)),
      mark: () => this.#do(false, () => undefined),
      keep: (request: Parameters<HistoryStore['keep']>[0]) =>
        keeps.take(() => this.#do(true, () => keptSessions.keep(request))),
      kept: (request: Parameters<HistoryStore['kept']>[0]) =>
        this.#do(false, () => keptSessions.kept(request)),
      dropSessions: (request: Parameters<HistoryStore['dropSessions']>[0]) =>
        keeps.take(() => this.#do(true, () => keptSessions.dropSessions(request))),
      seen: (request: Parameters<HistoryStore['seen']>[0]) =>
        this.#do(false, () => keptSessions.seen(request)),
    } as unknown as HistoryStore;
  }

  #do<Result>(isAppend: boolean, run: () => Result): Promise<Result> {
    if (this.#isAway) return Promise.reject(new StoreUnavailableError('the database is away'));
    if (this.effects.areOver) return new Promise(() => {});
    if (this.#kind === 'sqlite') return Promise.resolve(run());
    return new Promise((resolve, reject) => {
      let result: Result;
      const act = () => {
        result = run();
      };
      const fail = (isFateUnknown: boolean) =>
        reject(new StoreUnavailableError('the connection broke', { isFateUnknown }));
      this.#jobs.push({ isAppend, act, tell: () => resolve(result), fail, isDone: false });
    });
  }
}

/** All that follows from what was resolved. */
async function settle(): Promise<void> {
  for (let count = 0; count < microtasks; count++) await Promise.resolve();
}
