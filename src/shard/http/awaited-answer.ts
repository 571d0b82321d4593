/** An answer of a home or of the store, for a route that waits for it. */
import type { AnswerReceiver, Correlation, Requested } from '../../session/ports.ts';
import type { Answer } from '../../wire/message.ts';
import { RefusedRequest } from './http-errors.ts';

class AwaitedAnswer implements AnswerReceiver {
  readonly #deferred = Promise.withResolvers<Answer>();

  get answer(): Promise<Answer> {
    return this.#deferred.promise;
  }

  onAnswer(_correlation: Correlation, answer: Answer): void {
    this.#deferred.resolve(answer);
  }
}

/** Rejects with RefusedRequest. */
export async function accepted(
  request: (receiver: AnswerReceiver) => Requested,
): Promise<Extract<Answer, { ok: true }>> {
  const awaited = new AwaitedAnswer();
  const requested = request(awaited);
  const answer = requested.state === 'answered' ? requested.answer : await awaited.answer;
  if (!answer.ok) throw new RefusedRequest(answer.refusal);
  return answer;
}
