/** How far this user has read, told to the server: the youngest mark of a topic stands for the others. Owned by chat.js. */

/** Between two rounds of marks, milliseconds. */
const pauseMs = 1000;

export class ReadMarks {
  #core;
  /** By topic: told, and to be told. */
  #told = new Map();
  #wanted = new Map();
  #timer;

  constructor(core) {
    this.#core = core;
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** What was on its way may be lost; saying it again changes nothing. */
  onConnected() {
    this.#told.clear();
  }

  /** Everything of `topic` up to `offset` was read. */
  mark({ topic, offset }) {
    const known = Math.max(this.#told.get(topic) ?? 0, this.#wanted.get(topic) ?? 0);
    if (offset <= known) return;
    this.#wanted.set(topic, offset);
    if (this.#timer === undefined) this.#tell();
  }

  #tell() {
    this.#timer = undefined;
    if (this.#wanted.size === 0) return;
    for (const [topic, offset] of this.#wanted) void this.#ask(topic, offset);
    this.#wanted.clear();
    this.#timer = setTimeout(() => this.#tell(), pauseMs);
  }

  async #ask(topic, offset) {
    this.#told.set(topic, offset);
    const reply = await this.#core.ask('Read', { topic, offset });
    // Not taken: the next mark says more.
    if (reply?.type === 'Error' && reply.data.retryable && this.#told.get(topic) === offset)
      this.#told.delete(topic);
  }
}
