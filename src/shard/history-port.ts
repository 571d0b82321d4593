/**
 * The way from sessions and routes to what is stored.
 * Thread: shard. A page comes from the store's thread; the topic's home is not asked, since what is stored is the same for all.
 */
import { refusal } from '#proto/error-codes.ts';
import { storePeer } from '#proto/names.ts';
import type { AnswerReceiver, HistoryPort, HistoryRequest, Requested } from '../session/ports.ts';
import { type Answer, refused } from '../wire/message.ts';
import type { PendingRequests } from './pending-requests.ts';
import type { StorePort } from './store-port.ts';

/** Clients try again after about this long, milliseconds. */
const retryAfterMs = 1000;

export class StoredHistoryPort implements HistoryPort {
  readonly #store: StorePort;
  readonly #pending: PendingRequests;

  constructor(store: StorePort, pending: PendingRequests) {
    this.#store = store;
    this.#pending = pending;
  }

  page(request: HistoryRequest, receiver: AnswerReceiver): Requested {
    return this.#pending.answerHere(storePeer, receiver, (onAnswer) => {
      const sent = this.#store.page(request, (page) =>
        onAnswer(page === undefined ? unreadable() : { ok: true, page }),
      );
      if (sent === 'full') onAnswer(refused(refusal('busy', 'the store has too much to do', retryAfterMs)));
      if (sent === 'down') onAnswer(unreadable());
    });
  }
}

function unreadable(): Answer {
  return refused(refusal('store_unavailable', 'the history cannot be read now', retryAfterMs));
}
