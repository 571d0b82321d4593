/** Entry point of a shard thread. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ShardStart } from '../src/shard/shard.ts';
import { runShard } from '../src/shard/shard-control.ts';

await runShard(workerData as ShardStart, parentPort as MessagePort);
