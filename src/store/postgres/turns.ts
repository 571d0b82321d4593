/**
 * One after the other, in the order in which they were asked for.
 * Thread: store. Used by writer.ts for appends and by postgres-history-store.ts for what homes keep.
 */
export class Turns {
  /** Ends with what was asked for last. */
  #last: Promise<unknown> = Promise.resolve();

  take<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Resolves when all that was asked for so far is over, however it ended. */
  async settled(): Promise<void> {
    await this.#last;
  }
}
