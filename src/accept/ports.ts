/** What accepting needs of the shards: how many there are, how loaded, and a way to hand a socket over. */
import type { Socket } from 'node:net';
import type { AdmissionVerdict } from '#proto/control.ts';
import type { ShardId } from '#proto/names.ts';

export interface ShardDirectory {
  readonly shardCount: number;
  isUp(shard: ShardId): boolean;
  /** Moves the socket to the shard's thread; false: the thread is gone and the socket still here. */
  tryHandOver(shard: ShardId, socket: Socket, address: string, verdict: AdmissionVerdict): boolean;
}
