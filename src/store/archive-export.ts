/**
 * A topic as lines of JSON, oldest first, out of its archives and its log.
 * Thread: the process of `npm run archive`. A server may be writing meanwhile: what moves from the log to a file while it is
 * read comes once, from one of the two.
 */
import { type TopicKey, tenantOfKey } from '#proto/names.ts';
import { ArchiveEraser } from './archive-eraser.ts';
import { readArchiveFile } from './archive-files.ts';
import type { Archive, ArchiveIndex } from './archive-index.ts';
import { encodeLine } from './archive-lines.ts';
import type { HistoryStore, StoredMessage } from './history-store.ts';

/** Entries of one look at the log. */
const pageMax = 200;

export interface ExportedStretch {
  /** Each with its end. */
  text: string;
  entryCount: number;
  /** Up to here it is exported. */
  lastOffset: number;
}

/** Rejects with ArchiveFileError where a file is missing or damaged. */
export async function* exportTopic(
  store: ArchiveIndex & Pick<HistoryStore, 'page'>,
  topic: TopicKey,
  archiveDir: string,
): AsyncGenerator<ExportedStretch> {
  const erasures = (await store.erasures()).filter(({ tenant }) => tenant === tenantOfKey(topic));
  const eraser = new ArchiveEraser(erasures);
  const stretchOf = (messages: StoredMessage[], lastOffset: number): ExportedStretch => ({
    text: messages.map((message) => `${encodeLine(topic, eraser.erased(message))}\n`).join(''),
    entryCount: messages.length,
    lastOffset,
  });
  let position = 0;
  for (;;) {
    // The log first: what leaves it behind this look is in the look at archives.
    const page = await store.page({ topic, view: 'log', after: position, limit: pageMax });
    const [archive] = await store.archives({ topic, after: { topic, firstOffset: position }, limit: 1 });
    const [oldest] = page.messages;
    if (isNext(archive, oldest)) {
      position = archive.lastOffset;
      yield stretchOf(readArchiveFile(archiveDir, archive), position);
    } else if (oldest !== undefined) {
      position = page.messages.at(-1)?.offset ?? position;
      yield stretchOf(page.messages, position);
    } else return;
  }
}

function isNext(archive: Archive | undefined, oldest: StoredMessage | undefined): archive is Archive {
  return archive !== undefined && (oldest === undefined || archive.firstOffset < oldest.offset);
}
