/** What the server says unasked, turned into state. Owned by chat.js. */
import { editOf, isInbox, messageOfDelivery, placeOf, remainsOf } from '../payload.js';
import * as steps from '../state.js';

export class Deliveries {
  #core;
  #ctx;

  /** `ctx`: topics, inbox, presence, typing, isLookedAt(key), onOpened() (a conversation, by a message), onRestored() (the store). */
  constructor(core, ctx) {
    this.#core = core;
    this.#ctx = ctx;
  }

  onEnvelope(envelope) {
    const { type, data } = envelope;
    switch (type) {
      case 'Broadcast':
      case 'DirectMessage':
        this.#receive(placeOf(data, this.#core.state.me), messageOfDelivery(envelope), data.replay);
        return this.#onEntry(data);
      case 'Edited':
        this.#core.set(steps.amended(this.#core.state, data.messageId, editOf(envelope)));
        return this.#onEntry(data);
      case 'Deleted':
        this.#onDeleted(envelope);
        return this.#onEntry(data);
      case 'Receipt':
        return this.#onReceipt(data);
      case 'Presence':
        return this.#ctx.presence.onNews(data);
      case 'Typing':
        return this.#ctx.typing.onNews(data);
      case 'System':
        return this.#onSystem(data);
      case 'Status':
        if (data.op === 'Subscription' && !data.active) this.#onEnded(data.topic);
    }
  }

  /** An entry of a log is here: what is missing, if something is, lies behind it. */
  #onEntry({ topic, offset }) {
    if (topic === undefined || offset === undefined) return;
    if (isInbox(topic)) this.#ctx.inbox.onEntry(offset);
    else this.#ctx.topics.onEntry(topic, offset);
  }

  #receive(place, message, isReplay) {
    const { state } = this.#core;
    const key = steps.keyOf(place);
    const isOpen = steps.find(state, key) !== undefined;
    // A topic that was left: what was on its way must not open it again.
    if (place.kind === 'topic' && !isOpen) return;
    const heard = isReplay ? state : steps.heardFrom(state, message);
    this.#core.set(steps.received(heard, place, message, this.#ctx.isLookedAt(key)));
    if (!isReplay) this.#ctx.typing.onMessage(key, message.from);
    if (!isOpen) this.#ctx.onOpened();
  }

  #onDeleted(envelope) {
    const { state } = this.#core;
    const { topic, messageId, by } = envelope.data;
    const remains = remainsOf(envelope);
    // Of an own message in the inbox nothing says whom it was for: it is in the history of its conversation.
    const isPlaceless = isInbox(topic) && by === state.me;
    if (steps.findMessage(state, messageId) !== undefined || remains === undefined || isPlaceless)
      return this.#core.set(steps.removed(state, messageId));
    this.#receive(placeOf({ topic, from: by }, state.me), remains, true);
  }

  #onReceipt({ topic, with: peer, user, kind, offset }) {
    if (kind !== 'read') return;
    const place = peer === undefined ? { kind: 'topic', name: topic } : { kind: 'user', name: peer };
    this.#core.set(steps.readBy(this.#core.state, steps.keyOf(place), user, offset));
  }

  #onSystem({ event, dependency }) {
    if (dependency !== 'store') return;
    this.#core.set({ ...this.#core.state, isStoreAway: event === 'degraded' });
    if (event === 'restored') this.#ctx.onRestored();
  }

  #onEnded(topic) {
    if (isInbox(topic)) this.#ctx.inbox.onHole();
    else this.#ctx.topics.onEnded(topic);
  }
}
