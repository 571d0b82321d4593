/** Goes on where the last connection ended, as long as the server keeps its session. Owned by chat.js. */

export class Resumption {
  #core;
  /** The last session that had what this page had. */
  #former;

  constructor(core) {
    this.#core = core;
  }

  /**
   * `session`: of the new connection. Calls `onReady` with what of each topic came back; with undefined where nothing did, at
   * once on the first connection; not at all when the connection was lost before it was known.
   */
  onConnected(session, positions, onReady) {
    if (this.#former === undefined) {
      this.#former = session;
      return onReady(undefined);
    }
    void this.#resume(session, positions, onReady);
  }

  async #resume(session, positions, onReady) {
    const reply = await this.#core.ask('Resume', { ...this.#former, positions });
    // The next connection asks by the same name: a session that was taken over answers to that, too.
    if (reply === undefined) return;
    this.#former = session;
    onReady(reply.type === 'Status' ? reply.data.topics : undefined);
  }
}
