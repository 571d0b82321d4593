/**
 * Moves what is older than ARCHIVE_AFTER from the log to files of ARCHIVE_DIR, and looks after those files.
 * Thread: store. Started by store-control.ts. In small bites, so that appends come between them; what is CPU work is a job of
 * the CPU pool. A stretch of a topic leaves the log in the transaction that records its file, and only when that file is on
 * the disk: whatever ends in between leaves the log as it was, and a file that the sweep takes away.
 * Of several servers on one database one works at a time, and ARCHIVE_DIR must be the same folder for all.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TopicKey, topicOfKey } from '#proto/names.ts';
import { ruleOf, type TopicRule } from '../routing/topic-class.ts';
import { packObject } from '../wire/codec.ts';
import { eraseFromArchives } from './archive-erasures.ts';
import { archiveFolder } from './archive-files.ts';
import type { Archive, ArchiveFile, ArchiveIndex, ArchiveLead, TopicAge } from './archive-index.ts';
import { fingerprintOf } from './archive-lines.ts';
import { sweepFolder } from './archive-sweep.ts';
import { type HistoryStore, type StoredMessage, StoreUnavailableError } from './history-store.ts';
import type { RunJob } from './job-desk.ts';

const dayMs = 86_400_000;
/** Between two rounds over all topics, milliseconds. */
const roundEveryMs = 10 * 60_000;
/** Of one file. Appends wait while its entries leave the log: 22 to 95 ms for twice as many, SQLite on a busy machine. */
const stretchEntriesMax = 1_000;
const stretchBytesMax = 4 * 1024 ** 2;
/** Payloads that one page may bring into memory, bytes, and entries of one page. */
const pageBytesMax = 8 * 1024 ** 2;
const pageEntriesMax = 500;
/** Topics and archives of one look. */
const lookMax = 500;
/** Between two pages, and between two files, milliseconds. */
const pageRestMs = 5;
const fileRestMs = 20;
/** How long another server's bite is waited for, milliseconds. */
const leadWaitMs = 1_000;
/** Where files have an end, those of one file are at most this part of it apart. */
const spansPerRetention = 20;

export interface ArchiveContext {
  store: ArchiveIndex & Pick<HistoryStore, 'page' | 'epoch'>;
  runJob: RunJob;
  clock: { wallMs: () => number };
  rules: readonly TopicRule[];
  /** Of topics whose rule says nothing; undefined: for ever. */
  retentionMs: number | undefined;
  /** Undefined: nothing is moved; what is in files already is looked after all the same. */
  archiveAfterMs: number | undefined;
  archiveDir: string;
  /** Of the largest payload. */
  messageBytesMax: number;
  onArchived: (archive: Archive) => void;
  /** It was older than its retention. */
  onExpired: (archive: Archive) => void;
  onFailure: (error: unknown) => void;
}

export class ArchiveKeeper {
  readonly #ctx: ArchiveContext;
  readonly #pageMax: number;
  #isStopped = false;
  #isSwept = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ctx: ArchiveContext) {
    this.#ctx = ctx;
    this.#pageMax = Math.max(1, Math.min(pageEntriesMax, Math.floor(pageBytesMax / ctx.messageBytesMax)));
  }

  start(): void {
    const begin = () => void this.round().catch((error: unknown) => this.#onFailure(error));
    begin();
    this.#timer = setInterval(begin, roundEveryMs);
  }

  /** What runs is abandoned, which is safe everywhere. */
  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  /** Once over everything; a call during a round waits for that one. Rejects when the store cannot be used. */
  round(): Promise<void> {
    this.#running ??= this.#round().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #round(): Promise<void> {
    const { store, runJob, archiveDir, archiveAfterMs } = this.#ctx;
    await eraseFromArchives({
      ...{ store, runJob, archiveDir },
      attempt: (work) => this.#attempt(work),
      withLead: (work) => this.#withLead(work),
    });
    await this.#expire();
    const folders = this.#isSwept ? new Set<string>() : await this.#folders();
    this.#isSwept = true;
    if (archiveAfterMs === undefined && folders.size === 0) return;
    let after: TopicKey | undefined;
    while (!this.#isStopped) {
      const ages = await store.topicAges({ after, limit: lookMax });
      for (const age of ages) {
        if (folders.has(archiveFolder(age.topic))) await this.#attempt(() => this.#sweep(age.topic));
        if (this.#isOverdue(age)) await this.#attempt(() => this.#moveTopic(age.topic));
      }
      after = ages.at(-1)?.topic;
      if (ages.length < lookMax) return;
    }
  }

  // ---- from the log to files

  /** A day late, so that a quiet topic gets a file a day and not one per message; earlier where retention is close. */
  #isOverdue({ topic, oldestMs, heldUntilMs }: TopicAge): boolean {
    const { archiveAfterMs, clock } = this.#ctx;
    if (archiveAfterMs === undefined || oldestMs === undefined || this.#isStopped) return false;
    const nowMs = clock.wallMs();
    if (heldUntilMs !== undefined && nowMs < heldUntilMs) return false;
    const retentionMs = this.#retentionOf(topic) ?? Number.POSITIVE_INFINITY;
    const lateMs = Math.min(dayMs, Math.max(0, retentionMs - archiveAfterMs) / 2);
    return oldestMs < nowMs - archiveAfterMs - lateMs;
  }

  async #moveTopic(topic: TopicKey): Promise<void> {
    const beforeMs = this.#ctx.clock.wallMs() - (this.#ctx.archiveAfterMs as number);
    while (!this.#isStopped) {
      if (!(await this.#withLead((lead) => this.#moveStretch(lead, topic, beforeMs)))) return;
      await sleep(fileRestMs);
    }
  }

  /** False: nothing is left to be moved, or what was read was changed meanwhile; the next round sees it. */
  async #moveStretch(lead: ArchiveLead, topic: TopicKey, beforeMs: number): Promise<boolean> {
    const { store, runJob, archiveDir, onArchived } = this.#ctx;
    const pages = await this.#read(topic, beforeMs);
    const entries = pages.flat();
    if (entries.length === 0 || this.#isStopped) return false;
    // Copies: what packs may reuse its memory, and these buffers are given away.
    const packed = pages.map((page) => new Uint8Array(packObject(page)));
    const place = { archiveDir, topic, epoch: store.epoch };
    const transfer = packed.map(({ buffer }) => buffer);
    const file = await runJob('writeArchive', { ...place, pages: packed }, transfer);
    if (this.#isStopped) return false;
    const archive = { topic, ...file, ...summaryOf(entries) };
    if (!(await lead.move({ archive, fingerprint: fingerprintOf(entries) }))) {
      this.#isSwept = false;
      return false;
    }
    onArchived(archive);
    return true;
  }

  /** The oldest of the log, up to one that is younger. */
  async #read(topic: TopicKey, beforeMs: number): Promise<StoredMessage[][]> {
    const pages: StoredMessage[][] = [];
    let [entries, bytes, after, endMs] = [0, 0, 0, beforeMs];
    for (;;) {
      const limit = Math.min(this.#pageMax, stretchEntriesMax - entries);
      const page = await this.#ctx.store.page({ topic, view: 'log', after, limit });
      const { messages } = page;
      const [oldest] = messages;
      if (entries === 0 && oldest !== undefined)
        endMs = Math.min(beforeMs, oldest.timestampMs + this.#spanMs(topic));
      const end = messages.findIndex(({ timestampMs }) => timestampMs >= endMs);
      const old = end < 0 ? messages : messages.slice(0, end);
      if (old.length > 0) pages.push(old);
      entries += old.length;
      bytes += old.reduce((sum, { payload }) => sum + payload.length, 0);
      const isFull = entries >= stretchEntriesMax || bytes >= stretchBytesMax;
      if (end >= 0 || isFull || !page.hasMore) return pages;
      after = messages.at(-1)?.offset ?? after;
      await sleep(pageRestMs);
    }
  }

  // ---- files that are there

  /** A file goes when its youngest entry is too old. */
  async #expire(): Promise<void> {
    const { store, clock, rules, retentionMs, archiveDir, onExpired } = this.#ctx;
    const ends = [retentionMs, ...rules.map((rule) => rule.retentionMs)].filter((end) => end !== undefined);
    if (ends.length === 0) return;
    const nowMs = clock.wallMs();
    const endedBeforeMs = nowMs - Math.min(...ends);
    let after: Archive | undefined;
    while (!this.#isStopped) {
      const archives = await store.archives({ endedBeforeMs, after, limit: lookMax });
      for (const archive of archives) {
        const keptMs = this.#retentionOf(archive.topic);
        if (keptMs === undefined || archive.toMs >= nowMs - keptMs) continue;
        const drop = async (lead: ArchiveLead) => {
          // Before its row: a file without one would be found by nobody.
          await rm(join(archiveDir, archive.file), { force: true });
          await lead.drop(archive);
          onExpired(archive);
        };
        await this.#attempt(() => this.#withLead(drop));
      }
      after = archives.at(-1);
      if (archives.length < lookMax) return;
    }
  }

  /** Those below ARCHIVE_DIR: `tenant/topic`. */
  async #folders(): Promise<Set<string>> {
    const { archiveDir } = this.#ctx;
    const folders = new Set<string>();
    for (const tenant of await readdir(archiveDir).catch(() => [])) {
      for (const topic of await readdir(join(archiveDir, tenant)).catch(() => []))
        folders.add(`${tenant}/${topic}`);
    }
    return folders;
  }

  async #sweep(topic: TopicKey): Promise<void> {
    const { store, archiveDir } = this.#ctx;
    await this.#withLead(() => sweepFolder(topic, { store, archiveDir }));
  }

  // ---- how

  #retentionOf(topic: TopicKey): number | undefined {
    const { rules, retentionMs } = this.#ctx;
    return ruleOf(rules, topicOfKey(topic)).retentionMs ?? retentionMs;
  }

  #spanMs(topic: TopicKey): number {
    const keptMs = this.#retentionOf(topic);
    return keptMs === undefined ? Number.POSITIVE_INFINITY : Math.max(dayMs, keptMs / spansPerRetention);
  }

  /** Undefined: another server has the lead; it does what is to be done. */
  async #withLead<Answer>(work: (lead: ArchiveLead) => Promise<Answer>): Promise<Answer | undefined> {
    const lead = await this.#ctx.store.leadArchives({ waitMs: leadWaitMs });
    if (lead === undefined) return undefined;
    try {
      return await work(lead);
    } finally {
      await lead.release();
    }
  }

  /** What fails with one file does not keep the others; a store that is away ends the round. */
  async #attempt<Answer>(work: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#isSwept = false;
      if (error instanceof StoreUnavailableError) throw error;
      this.#onFailure(error);
      return undefined;
    }
  }

  #onFailure(error: unknown): void {
    if (!this.#isStopped) this.#ctx.onFailure(error);
  }
}

function summaryOf(entries: readonly StoredMessage[]): Omit<Archive, keyof ArchiveFile | 'topic'> {
  const times = entries.map(({ timestampMs }) => timestampMs);
  return {
    firstOffset: entries[0]?.offset ?? 0,
    lastOffset: entries.at(-1)?.offset ?? 0,
    fromMs: Math.min(...times),
    toMs: Math.max(...times),
    messageCount: entries.filter(({ kind }) => kind === 'message').length,
  };
}
