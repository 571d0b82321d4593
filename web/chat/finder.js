/** Messages by their words. Owned by chat.js. */
import { messageOf, placeOf } from '../payload.js';
import { errorWords } from '../wording.js';

const resultsMax = 50;

export class Finder {
  #core;

  constructor(core) {
    this.#core = core;
  }

  async search(query) {
    const search = { query, step: 'searching', results: [], hasMore: false, problem: undefined };
    this.#set(search);
    const reply = await this.#core.ask('Search', { query, limit: resultsMax });
    // Another one was begun, or the results are not wanted any more.
    if (this.#core.state.search !== search) return;
    if (reply === undefined) return this.#set({ ...search, step: 'failed', problem: 'Not connected.' });
    const { type, data } = reply;
    if (type === 'Error') return this.#set({ ...search, step: 'failed', problem: errorWords(data) });
    const { me } = this.#core.state;
    const results = data.messages.map((message) => ({ ...messageOf(message), place: placeOf(message, me) }));
    this.#set({ ...search, step: 'done', results, hasMore: data.hasMore });
  }

  close() {
    this.#set(undefined);
  }

  #set(search) {
    this.#core.set({ ...this.#core.state, search });
  }
}
