/**
 * Archives of a topic back into its log, the youngest first, so that offsets never have a hole.
 * Thread: the process of `npm run archive`. Each file is one transaction: what is cut short goes on with the next call.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TopicKey } from '#proto/names.ts';
import { readArchiveFile } from './archive-files.ts';
import type { Archive, ArchiveIndex, ArchiveLead } from './archive-index.ts';
import { archivesOf } from './archive-list.ts';
import type { AppendEntry, HistoryStore } from './history-store.ts';

/** It is not done; the message is a sentence that says why. */
export class RestoreRefusedError extends Error {
  override readonly name = 'RestoreRefusedError';
}

/** Wall clock, milliseconds; both ends included. */
export interface RestoreRange {
  fromMs: number;
  toMs: number;
}

/**
 * What has entries of that time, the youngest first; empty where nothing has. Throws RestoreRefusedError where offsets
 * would have a hole.
 */
export async function planRestore(
  store: Pick<ArchiveIndex, 'archives'> & Pick<HistoryStore, 'page'>,
  topic: TopicKey,
  range: RestoreRange,
): Promise<Archive[]> {
  const all = (await archivesOf(store, { topic })).toReversed();
  const isAsked = ({ fromMs, toMs }: Archive) => fromMs <= range.toMs && toMs >= range.fromMs;
  const asked = all.filter(isAsked);
  if (asked.length === 0) return [];
  let { firstOffset: logBegins } = await store.page({ topic, view: 'log', limit: 0 });
  // Times of two stretches may overlap: what lies between two that are asked for is asked for, too.
  const plan = all.slice(all.indexOf(asked[0] as Archive), all.indexOf(asked.at(-1) as Archive) + 1);
  for (const { firstOffset, lastOffset } of plan) {
    if (lastOffset + 1 !== logBegins) throw new RestoreRefusedError(holeSentence(all, lastOffset, logBegins));
    logBegins = firstOffset;
  }
  return plan;
}

/** One of the plan, in its order. Throws RestoreRefusedError, or ArchiveFileError where the file is missing or damaged. */
export async function restoreOne(
  lead: ArchiveLead,
  archive: Archive,
  { archiveDir, heldUntilMs, textOf }: RestoreContext,
): Promise<void> {
  const { topic } = archive;
  const messages = readArchiveFile(archiveDir, archive);
  const entries = messages.map((message) => ({
    ...message,
    text: message.kind === 'message' ? textOf({ topic, payload: message.payload }) : undefined,
  }));
  const result = await lead.restore({ archive, entries, heldUntilMs });
  if (result === 'apart')
    throw new RestoreRefusedError(
      `the log of this topic does not begin at ${archive.lastOffset + 1} any more: run it again`,
    );
  if (result === 'restored') await rm(join(archiveDir, archive.file), { force: true });
}

export interface RestoreContext {
  archiveDir: string;
  /** What is back stays until then, before it is archived again. */
  heldUntilMs: number;
  /** What a search finds a message by. */
  textOf: (entry: Pick<AppendEntry, 'topic' | 'payload'>) => string | undefined;
}

function holeSentence(all: readonly Archive[], lastOffset: number, logBegins: number): string {
  const hole = `offsets ${lastOffset + 1} to ${logBegins - 1} would be missing`;
  const between = all.find((archive) => archive.lastOffset + 1 === logBegins);
  return between === undefined
    ? `${hole}: they are in no archive, and the log must have no hole`
    : `${hole}: they are in younger archives, which must come back first; ask without --to`;
}
