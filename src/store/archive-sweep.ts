/**
 * Takes away files that nobody knows: of a stretch that was not moved, that was restored, or that was rewritten since.
 * Thread: store, with the lead of archives. Called by archive.ts when it meets a topic first, and after failures. What it
 * does not understand it leaves: another epoch's files (of another database), and files of which the log is not the owner.
 */
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { TopicKey } from '#proto/names.ts';
import { type ArchiveName, archiveFolder, isUnfinished, parseArchiveName } from './archive-files.ts';
import type { Archive, ArchiveIndex } from './archive-index.ts';
import { archivesOf } from './archive-list.ts';
import type { HistoryStore } from './history-store.ts';

interface SweepContext {
  store: Pick<ArchiveIndex, 'archives'> & Pick<HistoryStore, 'page' | 'epoch'>;
  archiveDir: string;
}

export async function sweepFolder(topic: TopicKey, { store, archiveDir }: SweepContext): Promise<void> {
  const folder = join(archiveDir, archiveFolder(topic));
  const names = await readdir(folder);
  const { firstOffset } = await store.page({ topic, view: 'log', limit: 0 });
  const archives = await archivesOf(store, { topic });
  const known = new Map(archives.map((archive) => [basename(archive.file), archive]));
  const present = archives.filter((archive) => names.includes(basename(archive.file)));
  for (const name of names.filter((candidate) => !known.has(candidate))) {
    const parsed = parseArchiveName(name);
    const isOurs = parsed?.epoch === store.epoch;
    if (isUnfinished(name) || (isOurs && isElsewhere(parsed, firstOffset, present)))
      await rm(join(folder, name), { force: true });
  }
}

/** In the log, or in a file that is known and there. */
function isElsewhere(name: ArchiveName, logBegins: number, present: Archive[]): boolean {
  if (name.firstOffset >= logBegins) return true;
  return present.some(
    ({ firstOffset, lastOffset }) => firstOffset === name.firstOffset && lastOffset === name.lastOffset,
  );
}
