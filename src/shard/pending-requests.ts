/**
 * Requests of this shard whose answers are on their way from a home in another thread.
 * Every one is settled exactly once: by its answer, or as `busy` when the home's thread ended without one. No timers: an
 * answer comes through a ring in order, or the supervisor ends the thread that owes it.
 */
import { refusal } from '#proto/error-codes.ts';
import type { ShardId } from '#proto/names.ts';
import type { AnswerReceiver, Correlation, Requested } from '../session/ports.ts';
import { type Answer, refused } from '../wire/message.ts';

interface Pending {
  receiver: AnswerReceiver;
  home: ShardId;
}

/** Correlations are uint32 in the record header; 0 means that nobody waits. */
const correlationMax = 0xffff_ffff;
export const noCorrelation: Correlation = 0;

/** Clients come back to a home that is being restarted after this long, and not all at once. Milliseconds. */
const retryAfterMinMs = 500;
const retrySpreadMs = 1000;
/** A prime: requests that follow each other come back far from each other. */
const retryStepMs = 389;

export class PendingRequests {
  readonly #pending = new Map<Correlation, Pending>();
  #last: Correlation = noCorrelation;

  open(receiver: AnswerReceiver, home: ShardId): Correlation {
    this.#last = this.#last === correlationMax ? 1 : this.#last + 1;
    this.#pending.set(this.#last, { receiver, home });
    return this.#last;
  }

  /** A request to a home in this thread, which answers in the call or later. */
  answerHere(
    home: ShardId,
    receiver: AnswerReceiver,
    ask: (onAnswer: (answer: Answer) => void) => void,
  ): Requested {
    let correlation: Correlation | undefined;
    let answered: Answer | undefined;
    ask((answer) => {
      if (correlation === undefined) answered = answer;
      else this.settle(correlation, answer);
    });
    if (answered !== undefined) return { state: 'answered', answer: answered };
    correlation = this.open(receiver, home);
    return { state: 'pending', correlation };
  }

  settle(correlation: Correlation, answer: Answer): void {
    const pending = this.#pending.get(correlation);
    this.#pending.delete(correlation);
    pending?.receiver.onAnswer(correlation, answer);
  }

  /** It was never sent, because the link said so: what the caller tells its receiver. */
  notSent(correlation: Correlation, sent: 'refused' | 'dropped' | 'down'): Answer {
    this.#pending.delete(correlation);
    const reason =
      sent === 'down'
        ? 'the home of this name is being restarted'
        : 'the way to the home of this name is full';
    return busy(reason, correlation);
  }

  /** The thread of `home` died: nothing of what it owes will come. */
  failAll(home: ShardId): void {
    for (const [correlation, pending] of [...this.#pending]) {
      if (pending.home === home) this.settle(correlation, homeDied(correlation));
    }
  }
}

/** It had the request and is gone: whether it accepted a message, and whom it reached, nobody knows. */
function homeDied(correlation: Correlation): Answer {
  return busy(
    'the home of this name died before it answered; a message may have been delivered',
    correlation,
  );
}

function busy(reason: string, correlation: Correlation): Answer {
  const retryAfterMs = retryAfterMinMs + ((correlation * retryStepMs) % retrySpreadMs);
  return refused(refusal('busy', reason, retryAfterMs));
}
