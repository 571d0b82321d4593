/**
 * A search of the embedded store, beside it: in a thread and on a connection of its own, which only reads.
 * Thread: CPU pool (workers/cpu-job.ts). Asked for by sqlite-history-store.ts through job-desk.ts: in the store's own thread
 * a search of many matches would stop every commit (measured: 20 searches, 4 s without an ack).
 */
import type { SearchPage, SearchRequest } from './history-store.ts';
import { type OpenedDatabase, openForReading } from './sqlite/open-database.ts';
import { searchMessages } from './sqlite/search.ts';

/** Of this thread; it ends with it. */
const opened = new Map<string, OpenedDatabase>();

export function search({ dataDir, request }: { dataDir: string; request: SearchRequest }): SearchPage {
  let found = opened.get(dataDir);
  if (found === undefined) {
    found = openForReading(dataDir);
    opened.set(dataDir, found);
  }
  return searchMessages(found.database, request);
}
