/** What every history store must do; run by the file of each backend. */
import { test } from 'node:test';
import type { HistoryStore } from '../../src/store/history-store.ts';
import { claimAmendments } from './claims/amendments.ts';
import { claimArchives } from './claims/archives.ts';
import { claimConversations } from './claims/conversations.ts';
import { claimKeptBesides, claimKeptSessions } from './claims/kept-sessions.ts';
import { claimKeys } from './claims/keys.ts';
import { claimLog } from './claims/log.ts';
import { claimReceipts } from './claims/receipts.ts';
import { claimSearch } from './claims/search.ts';
import { claimUpkeep } from './claims/upkeep.ts';
import type { Claim } from './entries.ts';

const chapters = [
  ...[claimLog, claimKeys, claimConversations, claimAmendments],
  ...[claimSearch, claimReceipts, claimUpkeep, claimArchives],
  ...[claimKeptSessions, claimKeptBesides],
];

/** `open` gives a new, empty store each time. */
export function historyStoreContract(name: string, open: () => Promise<HistoryStore>): void {
  const claim: Claim = (title, run) =>
    void test(`${name}: ${title}`, async () => {
      const store = await open();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });
  for (const chapter of chapters) chapter(claim);
}
