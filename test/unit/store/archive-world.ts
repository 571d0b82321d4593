/** A keeper of archives over a store in memory, a folder, jobs in this thread, and a clock that stands still. */
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import type { TopicKey } from '#proto/names.ts';
import { type ArchiveContext, ArchiveKeeper } from '../../../src/store/archive.ts';
import type { Archive } from '../../../src/store/archive-index.ts';
import { eraseArchive, writeArchive } from '../../../src/store/archive-jobs.ts';
import type { RunJob } from '../../../src/store/job-desk.ts';
import { SqliteHistoryStore } from '../../../src/store/sqlite/sqlite-history-store.ts';
import { entry, startMs, topic } from '../../contract/entries.ts';

export const dayMs = 86_400_000;
export const chat: TopicKey = topic('chat:a');

const jobs = { eraseArchive, writeArchive };
const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'carillon-archive-'));
  folders.push(folder);
  return folder;
}

export class ArchiveWorld {
  readonly store: SqliteHistoryStore = new SqliteHistoryStore(':memory:');
  readonly archiveDir: string = newFolder();
  readonly archived: Archive[] = [];
  readonly expired: Archive[] = [];
  readonly failures: unknown[] = [];
  nowMs: number = startMs;
  /** Before a job. */
  beforeJob: (name: string) => Promise<void> | void = () => {};
  readonly #settings: Partial<ArchiveContext>;

  constructor(settings: Partial<ArchiveContext> = {}) {
    this.#settings = settings;
  }

  /** A new one, as after a start of the server. */
  keeper(): ArchiveKeeper {
    return new ArchiveKeeper({
      ...{ store: this.store, clock: { wallMs: () => this.nowMs }, archiveDir: this.archiveDir },
      ...{ rules: [], retentionMs: undefined, archiveAfterMs: 30 * dayMs, messageBytesMax: 65_536 },
      runJob: (async (name, request) => {
        await this.beforeJob(name);
        return jobs[name as keyof typeof jobs](request as never);
      }) as RunJob,
      onArchived: (archive) => this.archived.push(archive),
      onExpired: (archive) => this.expired.push(archive),
      onFailure: (error) => this.failures.push(error),
      ...this.#settings,
    });
  }

  round(): Promise<void> {
    return this.keeper().round();
  }

  /** One message a day from the beginning of time on. */
  async addDays(count: number, place = chat, text?: string): Promise<void> {
    const batch = Array.from({ length: count }, (_, day) =>
      entry({ topic: place, timestampMs: startMs + day * dayMs, text }),
    );
    await this.store.append(batch);
  }

  /** Below the folder. */
  files(): string[] {
    return globSync('**/*.*', { cwd: this.archiveDir }).sort();
  }

  ranges(): [number, number][] {
    return this.archived.map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset]);
  }
}
