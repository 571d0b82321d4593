/**
 * Control messages: what the primary and a shard say to each other through the MessagePort of the worker.
 * Few and small; everything between clients goes through rings.
 */
import type { MessagePort } from 'node:worker_threads';
import type { ShardId } from './names.ts';

/** What admission decided about a socket; a shard answers it with a status, since the primary never writes a byte. */
export type AdmissionVerdict = 'admitted' | 'full' | 'too_many_from_address' | 'too_fast';

export type ToShard =
  /** An accepted socket, unread; the socket itself is in the transfer list. */
  | { kind: 'socket'; address: string; verdict: AdmissionVerdict; socket: unknown }
  /** The start-up self-test: echo what this socket says, then end it. */
  | { kind: 'probe'; socket: unknown }
  /** New rings to and from another shard: replaces the link to that peer. */
  | {
      kind: 'link';
      peer: ShardId;
      inbound: SharedArrayBuffer;
      outbound: SharedArrayBuffer;
      doorbell: MessagePort;
    }
  /** The peer's thread is gone: its rings are dead until the next `link`. */
  | { kind: 'unlink'; peer: ShardId }
  /** Say goodbye to every session within `timeoutMs`, then answer `drained`. */
  | { kind: 'drain'; timeoutMs: number }
  | { kind: 'exit' }
  /** Test builds only: fail on purpose. */
  | { kind: 'failpoint'; name: FailpointName };

/** To the store's thread: the same links as between shards, and the same end. */
export type ToStore =
  | Extract<ToShard, { kind: 'link' | 'unlink' | 'exit' | 'failpoint' }>
  /** What became of a job: its answer, or why there is none. */
  | { kind: 'jobDone'; id: number; answer: unknown; failure: string | undefined };
/** From the store's thread. */
export type FromStore =
  | Extract<FromShard, { kind: 'ready' | 'failed' | 'logs' }>
  | ({ kind: 'job'; id: number } & CpuJob);

/** For the CPU pool, by the name that workers/cpu-job.ts exports; `transfer` are buffers of the request. */
export interface CpuJob {
  name: string;
  request: object;
  transfer: ArrayBuffer[];
}

export type FromShard =
  | { kind: 'ready' }
  /** It cannot start, in a sentence. */
  | { kind: 'failed'; reason: string }
  | { kind: 'logs'; lines: string[] }
  /** The JSON Web Key Set that it has loaded: its successor can start with it when the provider is away. */
  | { kind: 'keys'; jwks: string }
  /** Sockets that were handed over and closed, by peer address; batched. */
  | { kind: 'closed'; addresses: string[] }
  | { kind: 'drained'; sessionCount: number };

/** `exit` leaves at once, `throw` is an uncaught exception, `hang` blocks the loop for ever. */
export const failpointNames = ['shard.exit', 'shard.throw', 'shard.hang', 'store.exit'] as const;
export type FailpointName = (typeof failpointNames)[number];

/** Memory that all threads share, made once by the primary. */
export interface SharedTables {
  metrics: SharedArrayBuffer;
  heartbeats: SharedArrayBuffer;
}
