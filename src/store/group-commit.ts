/**
 * Many appends, few commits: what arrives while a commit runs is the next batch.
 * Thread: store. Called for every append that the shards ask for; calls back once for each, in the order of submission.
 * A lone message is committed at once; under load the batch grows by itself, so that there is nothing to wait for.
 * Bounded by messages and bytes: past either it answers 'full', and the sender hears `busy`.
 */
import { setTimeout } from 'node:timers/promises';
import {
  type AppendEntry,
  type AppendResult,
  type HistoryStore,
  StoreUnavailableError,
} from './history-store.ts';

export interface GroupCommitLimits {
  /** Of one transaction. Larger batches gain little (reliability reference: 50 rows, 67,000/s) and delay everyone in them. */
  batchMessagesMax: number;
  batchBytesMax: number;
  /** Waiting for their batch. */
  queueMessagesMax: number;
  queueBytesMax: number;
  /** A batch whose fate is unknown is given again after so long, milliseconds. */
  repeatMs: number;
}

export const groupCommitLimits: GroupCommitLimits = {
  batchMessagesMax: 512,
  batchBytesMax: 4 * 1024 ** 2,
  queueMessagesMax: 10_000,
  queueBytesMax: 8 * 1024 ** 2,
  repeatMs: 500,
};

/** 'unavailable': nothing was stored. */
export type Settled = AppendResult | 'unavailable';

interface Waiting {
  entry: AppendEntry;
  onSettled: (settled: Settled) => void;
}

export interface GroupCommitEvents {
  /** A transaction was tried: so many messages, so long, with or without success. */
  onBatch(messageCount: number, tookMs: number, failure: Error | undefined): void;
}

export class GroupCommit {
  readonly #store: Pick<HistoryStore, 'append'>;
  readonly #limits: GroupCommitLimits;
  readonly #clock: { monotonicMs(): number };
  readonly #events: GroupCommitEvents;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #running: Promise<void> | undefined;
  /** Whether the batch under way is stored is not known: it is given again until it is. */
  #isInDoubt = false;

  constructor(
    store: Pick<HistoryStore, 'append'>,
    limits: GroupCommitLimits,
    clock: { monotonicMs(): number },
    events: GroupCommitEvents,
  ) {
    this.#store = store;
    this.#limits = limits;
    this.#clock = clock;
    this.#events = events;
  }

  /** 'unavailable': a batch is in doubt, and the store has to come back first. */
  submit(entry: AppendEntry, onSettled: (settled: Settled) => void): 'queued' | 'full' | 'unavailable' {
    if (this.#isInDoubt && !entry.isRepeat) return 'unavailable';
    const { queueMessagesMax, queueBytesMax } = this.#limits;
    const bytes = bytesOf(entry);
    // What was admitted before, and may be stored already, is never refused: its number was bounded then.
    const isFull = this.#queue.length >= queueMessagesMax || this.#queuedBytes + bytes > queueBytesMax;
    if (isFull && !entry.isRepeat) return 'full';
    this.#queue.push({ entry, onSettled });
    this.#queuedBytes += bytes;
    this.#running ??= this.#run();
    return 'queued';
  }

  /** Resolves when all that was submitted so far is settled. */
  async settled(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve(); // what is submitted in this turn belongs to the first batch
    while (this.#queue.length > 0) await this.#commit(this.#takeBatch());
    this.#running = undefined;
  }

  async #commit(batch: Waiting[]): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    let entries = batch.map(({ entry }) => entry);
    let outcome = await this.#tryAppend(entries);
    while (mayBeStored(outcome, entries)) {
      this.#refuseWaiting();
      this.#events.onBatch(batch.length, this.#clock.monotonicMs() - startedMs, outcome as Error);
      entries = entries.map((entry) => ({ ...entry, isRepeat: true }));
      await setTimeout(this.#limits.repeatMs);
      outcome = await this.#tryAppend(entries);
    }
    this.#isInDoubt = false;
    const [results, failure] = outcome instanceof Error ? [undefined, outcome] : [outcome, undefined];
    this.#events.onBatch(batch.length, this.#clock.monotonicMs() - startedMs, failure);
    for (const [index, { onSettled }] of batch.entries()) onSettled(results?.[index] ?? 'unavailable');
  }

  /** What waits behind a batch that is in doubt was never given to the store: its senders need not wait for it. */
  #refuseWaiting(): void {
    this.#isInDoubt = true;
    const refused = this.#queue.filter(({ entry }) => !entry.isRepeat);
    this.#queue = this.#queue.filter(({ entry }) => entry.isRepeat);
    for (const { entry, onSettled } of refused) {
      this.#queuedBytes -= bytesOf(entry);
      onSettled('unavailable');
    }
  }

  async #tryAppend(entries: AppendEntry[]): Promise<AppendResult[] | Error> {
    try {
      return await this.#store.append(entries);
    } catch (error) {
      return error as Error;
    }
  }

  #takeBatch(): Waiting[] {
    const { batchMessagesMax, batchBytesMax } = this.#limits;
    let count = 0;
    let bytes = 0;
    for (const { entry } of this.#queue) {
      if (count > 0 && (count >= batchMessagesMax || bytes + bytesOf(entry) > batchBytesMax)) break;
      count++;
      bytes += bytesOf(entry);
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }
}

/** Stored or not, nobody may be told either: its fate is unknown, or an earlier try of it may have been stored. */
function mayBeStored(outcome: AppendResult[] | Error, entries: AppendEntry[]): boolean {
  if (!(outcome instanceof Error)) return false;
  const isFateUnknown = outcome instanceof StoreUnavailableError && outcome.isFateUnknown;
  return isFateUnknown || entries.some(({ isRepeat }) => isRepeat);
}

/** What an entry weighs in the queue: its payload and some for the rest. */
function bytesOf({ payload }: AppendEntry): number {
  return payload.length + 256;
}
