/** The twin in memory keeps the contract of the store. */
import { MemoryHistoryStore } from '../../src/store/memory-history-store.ts';
import { historyStoreContract } from './history-store.ts';

historyStoreContract('memory', async () => new MemoryHistoryStore('epoch'));
