/**
 * What a crowd of clients did and saw, in one log for history-checker.ts, with what a checker cannot know
 * beside it: refusals with their advice, notices of the server, and answers that no client should ever get.
 */
import type { HistoryEvent, HistoryStep, Position } from './history-events.ts';

export type AckStep = Extract<HistoryStep, { kind: 'ack' }>;

/** A publish that was acked: to be found in the store. */
export interface AckedMessage {
  topic: string;
  sender: string;
  key: string;
  body: string;
  step: AckStep;
}

export interface Refused {
  client: string;
  at: number;
  code: string;
  message: string;
  retryAfterMs: number | undefined;
}

export interface Notice {
  client: string;
  /** Of all connections of the crowd, in the order of their `Connect`. */
  connection: number;
  at: number;
  event: string;
}

/** Written in a log instead of `busy` when the server says that it does not know what became of the message. */
export const unknownFate = 'unknown_fate';

/** An ack whose offset in that log nobody told the client; the rows of the store say it in the end. */
export const offsetUnknown = 1e9;

export class DurableRecord {
  readonly events: HistoryEvent[] = [];
  readonly acked: AckedMessage[] = [];
  /** Each publish once, though a direct message has two places in the log. */
  ackCount = 0;
  /** Acks that named a message which an earlier attempt had stored: what was between commit and ack. */
  duplicateCount = 0;
  deliveryCount = 0;
  replayCount = 0;
  connectCount = 0;
  /** Direct messages that a session got by itself after the home of its inbox had died. */
  caughtUpCount = 0;
  /** Sessions that began while the store could not say where the inbox ends. */
  blindCount = 0;
  /** `Subscription ended` for a topic whose home was lost. */
  endedCount = 0;
  readonly refused: Refused[] = [];
  readonly notices: Notice[] = [];
  /** What is wrong by itself, in a sentence each. */
  readonly faults: string[] = [];

  add(client: string, step: HistoryStep): void {
    this.events.push({ at: performance.now(), client, ...step });
  }

  addAck(
    client: string,
    topic: string,
    publication: Omit<AckedMessage, 'topic' | 'step'>,
    step: AckStep,
  ): void {
    this.add(client, step);
    this.acked.push({ topic, ...publication, step: this.events.at(-1) as unknown as AckStep });
    if (step.offset !== offsetUnknown) this.ackCount++;
  }

  fault(client: string, sentence: string): void {
    this.faults.push(`${client}: ${sentence}`);
  }
}

export function isSamePosition(one: Position, other: Position): boolean {
  return one.epoch === other.epoch && one.offset === other.offset;
}
