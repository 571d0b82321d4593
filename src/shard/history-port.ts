/**
 * The way from sessions and routes to what is stored.
 * Thread: shard. Answers come from the store's thread; the topic's home is not asked, since what is stored is the same for
 * all.
 */
import { refusal } from '#proto/error-codes.ts';
import { storePeer } from '#proto/names.ts';
import { storeBusy, storeDown } from '../log/appends.ts';
import type { LogStore, QueryRequest } from '../log/ports.ts';
import type { AnswerReceiver, HistoryPort, Requested } from '../session/ports.ts';
import type { StoreQueryName } from '../store/history-store.ts';
import { type Answer, refused } from '../wire/message.ts';
import type { PendingRequests } from './pending-requests.ts';

export class StoredHistoryPort implements HistoryPort {
  readonly #store: LogStore;
  readonly #pending: PendingRequests;

  constructor(store: LogStore, pending: PendingRequests) {
    this.#store = store;
    this.#pending = pending;
  }

  get epoch(): string | undefined {
    return this.#store.epoch;
  }

  ask<Name extends StoreQueryName>(
    name: Name,
    request: QueryRequest<Name>,
    receiver: AnswerReceiver,
  ): Requested {
    return this.#pending.answerHere(storePeer, receiver, (onAnswer) => {
      const sent = this.#store.ask(name, request, (result) =>
        onAnswer(result === undefined ? unanswered() : { ok: true, result }),
      );
      if (sent === 'full') onAnswer(storeBusy());
      if (sent === 'down') onAnswer(storeDown());
    });
  }
}

function unanswered(): Answer {
  return refused(refusal('store_unavailable', 'the store could not answer now', 1000));
}
