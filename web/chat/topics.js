/**
 * The topics of this page: subscribed, and subscribed again from where they were when the connection was lost or the
 * server ended a subscription. Owned by chat.js.
 */
import * as steps from '../state.js';
import { errorWords } from '../wording.js';

/** Between two tries where the server asked for patience without saying how long, milliseconds. */
const retryMs = 500;
/** Refusals in a row that pass without a word: a home that restarts is back after the first. */
const quietTriesMax = 2;

export class Topics {
  #core;
  #history;
  /** `{offset, epoch}` by topic: everything up to it is here. */
  #positions = new Map();
  #timers = new Map();
  #tryCounts = new Map();

  constructor(core, history) {
    this.#core = core;
    this.#history = history;
  }

  stop() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  onConnected() {
    for (const { kind, name, membership } of this.#core.state.conversations) {
      if (kind === 'topic' && membership !== 'refused') void this.subscribe(name);
    }
  }

  /** The server has ended a subscription. Not all at once: others lost theirs in the same moment. */
  onEnded(topic) {
    if (this.#membershipOf(topic) === undefined) return;
    this.#set(topic, { membership: 'joining' });
    this.#subscribeLater(topic, retryMs * Math.random());
  }

  onEntry(topic, offset) {
    const position = this.#positions.get(topic);
    if (position !== undefined && offset > position.offset)
      this.#positions.set(topic, { ...position, offset });
  }

  /** Resolves when the history is there, too, or the answer was that it will take a while. */
  async subscribe(topic) {
    clearTimeout(this.#timers.get(topic));
    this.#set(topic, { membership: 'joining' });
    const since = this.#positions.get(topic);
    const reply = await this.#core.ask('Subscribe', since === undefined ? { topic } : { topic, since });
    // Lost with the connection: the next one subscribes again. Or the topic was left meanwhile.
    if (reply === undefined || this.#membershipOf(topic) !== 'joining') return;
    const { type, data } = reply;
    if (type === 'Error') this.#onRefused(topic, data);
    else await this.#onJoined(topic, data);
  }

  unsubscribe(topic) {
    clearTimeout(this.#timers.get(topic));
    this.#positions.delete(topic);
    if (this.#membershipOf(topic) !== 'refused') void this.#core.ask('Unsubscribe', { topic });
  }

  async #onJoined(topic, { class: topicClass, offset, epoch, recovered }) {
    const key = keyOf(topic);
    this.#tryCounts.delete(topic);
    if (offset === undefined) this.#positions.delete(topic);
    else if (recovered !== true) this.#positions.set(topic, { offset, epoch });
    this.#set(topic, { membership: 'joined', problem: undefined, topicClass });
    if (recovered === false) this.#core.set(steps.restarted(this.#core.state, key));
    if (topicClass === 'durable') await this.#history.ensure(key);
    else this.#set(topic, { history: 'none' });
  }

  #onRefused(topic, error) {
    if (error.code === 'already_subscribed')
      return this.#set(topic, { membership: 'joined', problem: undefined });
    const problem = errorWords(error);
    if (!error.retryable) return this.#set(topic, { membership: 'refused', problem });
    const tryCount = (this.#tryCounts.get(topic) ?? 0) + 1;
    this.#tryCounts.set(topic, tryCount);
    if (tryCount > quietTriesMax) this.#set(topic, { problem: `${problem} Trying again…` });
    this.#subscribeLater(topic, (error.retryAfterMs ?? retryMs) * (1 + Math.random()));
  }

  #subscribeLater(topic, waitMs) {
    clearTimeout(this.#timers.get(topic));
    const subscribe = () => {
      if (this.#membershipOf(topic) === 'joining') void this.subscribe(topic);
    };
    this.#timers.set(topic, setTimeout(subscribe, waitMs));
  }

  #membershipOf(topic) {
    return steps.find(this.#core.state, keyOf(topic))?.membership;
  }

  #set(topic, fields) {
    this.#core.set(steps.changed(this.#core.state, keyOf(topic), fields));
  }
}

function keyOf(topic) {
  return steps.keyOf({ kind: 'topic', name: topic });
}
