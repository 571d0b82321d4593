/** What the parent and the processes of the load say to each other (IPC). Types only. */
import type { Encoding, ServerName } from './dialects.ts';

/** Clients to open. Targets are topics or users, by number; the parent and all processes name them alike. */
export interface Audience {
  server: ServerName;
  port: number;
  kind: 'topics' | 'users';
  /** Client `n` uses token `n`, encoding `n`: both lists are gone through again and again. */
  tokens: string[];
  encodings: Encoding[];
  /** What each client subscribes to; with users, the one user that it is. Empty for a client that only publishes. */
  targetsOf: number[][];
  payloadBytes: number;
  /** Filled up with text as JSON has it, which can be compressed as such text can; else with one letter. */
  isLikeJson?: boolean;
  /** Clients offer to take compressed frames. */
  offersDeflate?: boolean;
  /** So many clients, spread evenly, read what they get for its latency. */
  readerCount: number;
}

/** Publishes at a rate, whatever comes back. */
export interface PacedSend {
  publishesPerSecond: number;
  seconds: number;
  /** Messages go to random ones of so many targets; with users, from a random other one. */
  targetCount: number;
  seed: number;
}

/** Client `n` publishes to target `n` and keeps so many messages under way to its members. */
export interface SaturatingSend {
  inFlightPerTarget: number;
  seconds: number;
  targetCount: number;
}

export interface SendReport {
  /** Messages sent to each target. */
  publishedTo: number[];
  /** Furthest behind the schedule. */
  lateMaxMs: number;
}

export interface ReceiveReport {
  delivered: number;
  expected: number;
  /** Clients that did not get exactly what they should have got, and connections that ended. */
  wrongClientCount: number;
  closedClientCount: number;
  readCount: number;
  /** Payload bytes of all frames, as they were on the wire. */
  payloadByteCount: number;
  /** Intended send to receipt, of the clients that read. */
  p50Ms: number;
  p99Ms: number;
  /** Share of the time in which the process was busy: near 1, it was the load that could not do more. */
  busyShare: number;
}

export type Order =
  | { do: 'open'; audience: Audience }
  /** Everything is counted from here. */
  | { do: 'mark' }
  | { do: 'send'; send: PacedSend }
  | { do: 'saturate'; send: SaturatingSend }
  /** Waits until every client has got what was published to its targets. */
  | { do: 'receive'; publishedTo: number[]; timeoutMs: number };

export type Reply =
  | { opened: number }
  | { marked: true }
  | { sent: SendReport }
  | { received: ReceiveReport };
