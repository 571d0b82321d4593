/** What tests have in place of a store keeps the same promises of sessions. */
import { test } from 'node:test';
import type { HistoryStore } from '../../src/store/history-store.ts';
import { MemoryKeptSessions } from '../kit/memory-kept-sessions.ts';
import { claimKeptSessions } from './claims/kept-sessions.ts';

claimKeptSessions((title, run) => {
  test(`in the memory of a test: ${title}`, () => {
    const memory = new MemoryKeptSessions();
    const store: Partial<HistoryStore> = {
      keep: async (request) => memory.keep(request),
      kept: async (request) => memory.kept(request),
      seen: async (request) => memory.seen(request),
      releaseSessions: async (request) => memory.releaseSessions(request),
      sweepSessions: async (request) => memory.sweepSessions(request),
    };
    return run(store as HistoryStore);
  });
});
