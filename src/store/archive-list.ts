/** All archives of a question, page by page. Used by archive-sweep.ts and the archive command. */
import type { Archive, ArchiveIndex } from './archive-index.ts';

type Request = Parameters<ArchiveIndex['archives']>[0];

const pageMax = 500;

/** By topic and offset. */
export async function archivesOf(
  store: Pick<ArchiveIndex, 'archives'>,
  which: Pick<Request, 'topic' | 'tenant'>,
): Promise<Archive[]> {
  const all: Archive[] = [];
  for (;;) {
    const page = await store.archives({ ...which, after: all.at(-1), limit: pageMax });
    all.push(...page);
    if (page.length < pageMax) return all;
  }
}
