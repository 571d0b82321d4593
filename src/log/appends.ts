/**
 * What an actor wants stored, and the answers to those who asked for it.
 * Thread: the home's shard. Owned by a topic or user actor. Answers come in the order of the calls, each once, when the
 * store has committed or refused.
 */
import { assertNever } from '#kit/assert.ts';
import { refusal } from '#proto/error-codes.ts';
import { keyConflict } from '../protect/recent-keys.ts';
import { type Answer, type Position, refused } from '../wire/message.ts';
import type { AppendRequest, AppendSettled, LogStore } from './ports.ts';

/** Clients try again after about this long, milliseconds. */
const retryMs = 1000;

export interface AppendEvents {
  onStored: (offset: number, copyOffset: number | undefined) => void;
  /** It was stored before, at `offset`. */
  onDuplicate: (offset: number) => void;
  onAnswer: (answer: Answer) => void;
}

export class Appends {
  readonly #store: LogStore;
  #unsettledCount = 0;

  constructor(store: LogStore) {
    this.#store = store;
  }

  /** The store owes no answer. */
  get isSettled(): boolean {
    return this.#unsettledCount === 0;
  }

  append(request: AppendRequest, events: AppendEvents): void {
    const sent = this.#store.append(request, (settled) => {
      this.#unsettledCount--;
      if (settled.state === 'stored') events.onStored(settled.offset, settled.copyOffset);
      if (settled.state === 'duplicate') events.onDuplicate(settled.offset);
      events.onAnswer(this.#answerOf(request, settled));
    });
    if (sent === 'sent') this.#unsettledCount++;
    else events.onAnswer(sent === 'full' ? storeBusy() : storeDown());
  }

  #answerOf(request: AppendRequest, settled: AppendSettled): Answer {
    switch (settled.state) {
      case 'stored':
        return {
          ...{ ok: true, messageId: request.messageId, isDuplicate: false },
          ...{ position: this.#position(settled), atMs: request.timestampMs },
        };
      case 'duplicate':
        return {
          ok: true,
          messageId: settled.messageId,
          isDuplicate: true,
          position: this.#position(settled),
        };
      case 'conflict':
        return refused(keyConflict(request.key as string));
      case 'missing':
        return refused(refusal('not_found', `there is no message ${request.target}, or it is deleted`));
      case 'forbidden':
        return refused(refusal('permission_denied', `message ${request.target} is another user's`));
      case 'full':
        return storeBusy();
      case 'unavailable':
        return storeDown();
      default:
        return assertNever(settled);
    }
  }

  /** In the log of whoever asked: a direct message is told by its place in the sender's own inbox. */
  #position({ offset, copyOffset }: { offset: number; copyOffset: number | undefined }): Position {
    return { offset: copyOffset ?? offset, epoch: this.#store.epoch as string };
  }
}

export function storeBusy(): Answer {
  return refused(refusal('busy', 'the store has too much to do', retryMs));
}

export function storeDown(): Answer {
  return refused(refusal('store_unavailable', 'the store is not there; nothing was stored', retryMs));
}
