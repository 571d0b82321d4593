/**
 * Where this page is in the user's inbox, so that direct messages that were missed are fetched after a reconnect.
 * Owned by chat.js. What comes live needs no subscription, and may come before what was missed.
 */
import { inboxOf } from '../payload.js';
import * as steps from '../state.js';

/** Between two tries where the server asked for patience without saying how long, milliseconds. */
const retryMs = 500;

export class Inbox {
  #core;
  #history;
  #onMoved;
  #topic;
  /** `{offset, epoch}`: everything up to it is here. Unknown where the inbox is not stored, or the store is away. */
  #position;
  /** While what was missed is on its way: where that ends. */
  #endOffset;
  /** While what was missed is on its way: the youngest one behind its end, which came by itself. */
  #aheadOffset = 0;
  #hasBegun = false;
  #timer;

  /** `position`: what a reload remembers. */
  constructor(core, history, { position, onMoved }) {
    this.#core = core;
    this.#history = history;
    this.#position = position;
    this.#onMoved = onMoved;
  }

  get position() {
    return this.#position;
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** `inbox`: its end as this connection begins; all behind it comes by itself, and all before it after `goOn`. */
  onConnected(user, inbox) {
    clearTimeout(this.#timer);
    this.#topic = inboxOf(user);
    const isFirst = !this.#hasBegun;
    this.#hasBegun = true;
    this.#endOffset = undefined;
    this.#aheadOffset = 0;
    if (this.#position === undefined) {
      this.#moveTo(inbox);
      if (!isFirst) this.#reload();
      return;
    }
    if (inbox?.epoch === this.#position.epoch && inbox.offset === this.#position.offset) return;
    this.#endOffset = inbox?.offset ?? Number.POSITIVE_INFINITY;
  }

  /** `resumed`: what the server says of the inbox when it has resumed the session. */
  goOn(resumed) {
    if (this.#endOffset === undefined) return;
    if (resumed === undefined) void this.#recover();
    else this.#onAnswer(resumed);
  }

  onEntry(offset) {
    if (this.#position === undefined) return;
    if (this.#endOffset === undefined) return this.#reach(offset);
    if (offset > this.#endOffset) this.#aheadOffset = Math.max(offset, this.#aheadOffset);
    else this.#reach(offset);
    this.#endWhenComplete();
  }

  /** The server could not keep what this session missed. */
  onHole() {
    this.#reload();
  }

  async #recover() {
    const reply = await this.#core.ask('Subscribe', { topic: this.#topic, since: this.#position });
    if (reply === undefined) return; // lost with the connection: the next one begins again
    const { type, data } = reply;
    if (type === 'Error') {
      if (data.retryable) this.#timer = setTimeout(() => void this.#recover(), data.retryAfterMs ?? retryMs);
      else this.#startAt(undefined);
    } else {
      this.#onAnswer(data);
    }
  }

  #onAnswer({ recovered, offset, epoch }) {
    if (!recovered) return this.#startAt(offset === undefined ? undefined : { offset, epoch });
    this.#endOffset = Math.min(this.#endOffset, offset);
    this.#endWhenComplete();
  }

  #endWhenComplete() {
    if (this.#endOffset === undefined || this.#position.offset < this.#endOffset) return;
    this.#endOffset = undefined;
    this.#reach(this.#aheadOffset);
  }

  #startAt(position) {
    this.#endOffset = undefined;
    this.#moveTo(position);
    this.#reload();
  }

  #reach(offset) {
    if (offset > this.#position.offset) this.#moveTo({ ...this.#position, offset });
  }

  #moveTo(position) {
    this.#position = position;
    this.#onMoved();
  }

  /** What was missed is out of reach as a stream: the conversations show what is stored of them. */
  #reload() {
    for (const { kind, key } of this.#core.state.conversations) {
      if (kind !== 'user') continue;
      this.#core.set(steps.restarted(this.#core.state, key));
      void this.#history.ensure(key);
    }
  }
}
