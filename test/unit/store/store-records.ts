/** The store's thread as its links see it: records in, the answers out, on a database in memory. */
import type { ShardId } from '#proto/names.ts';
import type { RecordBodies, RecordKind } from '#proto/record.ts';
import type { ThreadLink } from '../../../src/links/thread-link.ts';
import { GroupCommit, groupCommitLimits } from '../../../src/store/group-commit.ts';
import type { HistoryStore, StoreQueryName } from '../../../src/store/history-store.ts';
import { SearchGate } from '../../../src/store/search-gate.ts';
import { SqliteHistoryStore } from '../../../src/store/sqlite/sqlite-history-store.ts';
import { takeStoreRecord } from '../../../src/store/store-intake.ts';
import { packMsgpack, packObject, unpackMsgpack, unpackObject } from '../../../src/wire/codec.ts';
import { ManualClock } from '../protect/manual-clock.ts';

export interface Said {
  to: number;
  kind: RecordKind;
  correlation: number;
  body: unknown[];
}

export class StoreRecords {
  /** What the shards were told, in order. */
  readonly said: Said[] = [];
  readonly failures: unknown[] = [];
  readonly store: HistoryStore;
  isUp = true;
  readonly #commits: GroupCommit;
  readonly #searches = new SearchGate();
  readonly #links: Map<number, ThreadLink>;

  /** Some of the store's answers may be `replaced`; only shards 0 and 1 are there. */
  constructor(replaced: Partial<HistoryStore> = {}) {
    const store = new SqliteHistoryStore(':memory:');
    this.store = Object.assign(store, replaced);
    const events = { onBatch: () => {} };
    this.#commits = new GroupCommit(this.store, groupCommitLimits, new ManualClock(), events);
    this.#links = new Map([0, 1].map((shard) => [shard, this.#linkTo(shard)]));
  }

  /** Of shard 0. */
  async take<Kind extends 'storeAppend' | 'storeReappend' | 'storeQuery'>(
    kind: Kind,
    correlation: number,
    body: RecordBodies[Kind],
  ): Promise<void> {
    const link = this.#links.get(0) as ThreadLink;
    const header = { kind, correlation, flags: 0, fromShard: 0 as ShardId, writtenAtMs: 0 };
    takeStoreRecord(link, header, packMsgpack(body), {
      ...{ store: this.store, searches: this.#searches, commits: this.#commits, isUp: () => this.isUp },
      ...{ onQuery: () => {}, onFailure: (error) => this.failures.push(error), wake: () => {} },
      ...{ textOf: () => undefined, linkTo: (shard) => this.#links.get(shard) },
    });
    await this.#commits.settled();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** What the store answers, or undefined when it could not. */
  async ask(name: StoreQueryName, request: object): Promise<unknown> {
    await this.take('storeQuery', 1, [name, packObject(request)]);
    const { body } = this.said.pop() as Said;
    const [ok, result] = body as RecordBodies['storeResult'];
    return ok ? unpackObject(result) : undefined;
  }

  #linkTo(to: number): ThreadLink {
    const send = (kind: RecordKind, correlation: number, body: Uint8Array) => {
      this.said.push({ to, kind, correlation, body: unpackMsgpack(body) as unknown[] });
      return 'taken';
    };
    return { send } as unknown as ThreadLink;
  }
}
