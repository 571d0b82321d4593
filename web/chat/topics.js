/**
 * The topics of this page: subscribed, and subscribed again from where they were when the connection was lost or the
 * server ended a subscription. Owned by chat.js.
 */
import { isInbox } from '../payload.js';
import * as steps from '../state.js';
import { errorWords } from '../wording.js';

/** Between two tries where the server asked for patience without saying how long, milliseconds. */
const retryMs = 500;
/** Refusals in a row that pass without a word: a home that restarts is back after the first. */
const quietTriesMax = 2;

export class Topics {
  #core;
  #history;
  #presence;
  /** `{offset, epoch}` by topic: everything up to it is here. */
  #positions = new Map();
  #timers = new Map();
  #tryCounts = new Map();

  constructor(core, history, presence) {
    this.#core = core;
    this.#history = history;
    this.#presence = presence;
  }

  get positions() {
    return Object.fromEntries(this.#positions);
  }

  stop() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  /** Not subscribed to anything, or nobody knows yet. */
  onConnected() {
    for (const topic of this.#wanted) this.#set(topic, { membership: 'joining' });
  }

  /** `resumed`: the topics of the session that goes on; what is not among them is subscribed anew. */
  goOn(resumed = []) {
    const wanted = this.#wanted;
    const entries = new Map(resumed.map((entry) => [entry.topic, entry]));
    for (const topic of entries.keys()) {
      if (isInbox(topic) || this.#isHeld(topic)) continue;
      // Left meanwhile, and opened again perhaps.
      entries.delete(topic);
      void this.#core.ask('Unsubscribe', { topic });
    }
    for (const topic of wanted) {
      if (entries.has(topic)) void this.#onJoined(topic, entries.get(topic));
      else void this.subscribe(topic);
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
    this.#presence.onJoining(topic);
    const reply = await this.#ask(topic);
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

  async #ask(topic) {
    const since = this.#positions.get(topic);
    const data = since === undefined ? { topic } : { topic, since };
    const reply = await this.#core.ask('Subscribe', { ...data, presence: true });
    if (reply?.data.code !== 'permission_denied' || this.#membershipOf(topic) !== 'joining') return reply;
    // Whoever may read does not always have the right to see who else does.
    return this.#core.ask('Subscribe', data);
  }

  async #onJoined(topic, reply) {
    const key = keyOf(topic);
    const { offset, epoch, recovered } = reply;
    const topicClass = reply.class ?? steps.find(this.#core.state, key).topicClass;
    clearTimeout(this.#timers.get(topic));
    this.#tryCounts.delete(topic);
    this.#presence.onMembers(topic, reply);
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

  get #wanted() {
    const { conversations } = this.#core.state;
    const isWanted = ({ kind, membership }) => kind === 'topic' && membership !== 'refused';
    return conversations.filter(isWanted).map(({ name }) => name);
  }

  /** Open, and since it was joined. */
  #isHeld(topic) {
    return steps.find(this.#core.state, keyOf(topic))?.topicClass !== undefined;
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
