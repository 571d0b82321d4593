/**
 * Whether the lanes of boards that one command joins were joined.
 * Thread: shard. Made by the handlers of `Subscribe` with presence and of `PresenceSubscribe`; asked by them when the home's
 * answer is there, which went the same way behind the lanes and so has theirs before it.
 */
import type { Refusal } from '#proto/error-codes.ts';
import type { Answer } from '../wire/message.ts';
import type { AnswerReceiver, Correlation, Requested } from './ports.ts';

export class LaneReceipts implements AnswerReceiver {
  /** Of the first lane that could not be joined. */
  refusal: Refusal | undefined;

  /** What was asked with this receiver. */
  add(requested: Requested): void {
    if (requested.state === 'answered') this.onAnswer(0, requested.answer);
  }

  onAnswer(_correlation: Correlation, answer: Answer): void {
    if (!answer.ok) this.refusal ??= answer.refusal;
  }
}
