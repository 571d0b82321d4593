/** Entry point of the store's thread. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { runStore, type StoreStart } from '../src/store/store-control.ts';

await runStore(workerData as StoreStart, parentPort as MessagePort);
