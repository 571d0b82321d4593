/**
 * Pages of what is stored of a conversation, from the youngest back, and who has read the own messages in them.
 * Owned by chat.js. What is new arrives by itself; this only goes back from there.
 */
import { firstOffsetOf } from '../entries.js';
import { messageOf } from '../payload.js';
import * as steps from '../state.js';
import { errorWords } from '../wording.js';

/** Messages of a page that is scrolled to, and of one on the way to a message that was found. */
const pageSize = 50;
const reachSize = 200;
/** Pages on the way to a message that was found; one that is further back is not shown in its place. */
const reachPagesMax = 10;

export class History {
  #core;
  /** What is being loaded, by conversation. */
  #loading = new Map();

  constructor(core) {
    this.#core = core;
  }

  /** The youngest page, unless it is there. */
  async ensure(key) {
    const history = this.#find(key)?.history;
    if (history === 'unknown' || history === 'failed') await this.#load(key, pageSize);
  }

  /** The page before what is there. */
  async older(key) {
    const history = this.#find(key)?.history;
    if (history === 'more' || history === 'failed') await this.#load(key, pageSize);
  }

  /** Everything back to a message, if that is not too far. */
  async reach(key, offset) {
    for (let pages = 0; pages < reachPagesMax; pages++) {
      const conversation = this.#find(key);
      if (conversation === undefined || firstOffsetOf(conversation.entries) <= offset) return;
      if (conversation.history === 'loading') await this.#loading.get(key)?.done;
      else if (conversation.history === 'more') await this.#load(key, reachSize);
      else return;
    }
  }

  #load(key, limit) {
    const loading = {};
    loading.done = this.#ask(key, limit, loading);
    this.#loading.set(key, loading);
    return loading.done;
  }

  async #ask(key, limit, loading) {
    const { kind, name, entries, history } = this.#find(key);
    const before = firstOffsetOf(entries);
    this.#set(key, { history: 'loading', historyProblem: undefined });
    const reply = await this.#core.ask('History', {
      ...(kind === 'user' ? { with: name } : { topic: name }),
      ...(before === undefined ? {} : { before }),
      limit,
    });
    // Begun anew meanwhile, or put away.
    if (this.#loading.get(key) !== loading || this.#find(key) === undefined) return;
    this.#loading.delete(key);
    if (reply === undefined) return this.#set(key, { history });
    const { type, data } = reply;
    if (type === 'Error') return this.#set(key, { history: 'failed', historyProblem: errorWords(data) });
    this.#core.set(steps.paged(this.#core.state, key, data.messages.map(messageOf), data.hasMore));
    await this.#askReaders(key);
  }

  /** Receipts tell what happens from now on; this, who has read the last own message before. */
  async #askReaders(key) {
    const { me } = this.#core.state;
    const { entries, reads } = this.#find(key);
    const last = entries.findLast(
      ({ from, offset, isDeleted }) => from === me && offset !== undefined && !isDeleted,
    );
    if (last === undefined || Object.values(reads).some((offset) => offset >= last.offset)) return;
    const reply = await this.#core.ask('DeliveryStatus', { messageId: last.messageId });
    if (reply?.type !== 'Status') return;
    for (const { user, read } of reply.data.recipients) {
      if (read) this.#core.set(steps.readBy(this.#core.state, key, user, last.offset));
    }
  }

  #find(key) {
    return steps.find(this.#core.state, key);
  }

  #set(key, fields) {
    this.#core.set(steps.changed(this.#core.state, key, fields));
  }
}
