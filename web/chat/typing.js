/** Who is writing: told to others while this person does, and forgotten of others in time. Owned by chat.js. */
import { withTyping } from '../presence.js';
import * as steps from '../state.js';

/** Said again this often to those who listen, milliseconds; the server tells no more than that. */
const repeatMs = 3000;
/** Somebody of whom nothing more is heard has stopped, milliseconds. */
const typingMs = 10_000;

export class Typing {
  #core;
  /** By conversation: when it was said last that this person is writing. */
  #saidAtMs = new Map();
  /** By conversation and user: when they are forgotten. */
  #timers = new Map();

  constructor(core) {
    this.#core = core;
  }

  stop() {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** What was said and heard on the lost connection is over. */
  onLost() {
    this.#saidAtMs.clear();
    this.stop();
    for (const { key, typists } of this.#core.state.conversations) {
      if (typists.length > 0) this.#core.set(steps.changed(this.#core.state, key, { typists: [] }));
    }
  }

  /** This person has changed what is not sent yet. */
  onWrote(key, text) {
    if (text.trim() === '') return this.onDone(key);
    if (this.#core.state.phase.name !== 'connected') return;
    const nowMs = Date.now();
    if (nowMs - (this.#saidAtMs.get(key) ?? 0) < repeatMs) return;
    this.#saidAtMs.set(key, nowMs);
    this.#say(key, true);
  }

  /** Sent, or thought better of. */
  onDone(key) {
    if (this.#saidAtMs.delete(key)) this.#say(key, false);
  }

  /** A `Typing` of the server. */
  onNews({ topic, from, user, active }) {
    const place = topic === undefined ? { kind: 'user', name: from } : { kind: 'topic', name: topic };
    if (user !== this.#core.state.me) this.#hear(steps.keyOf(place), user, active);
  }

  /** Whoever has sent something has stopped writing it. */
  onMessage(key, from) {
    this.#hear(key, from, false);
  }

  #hear(key, user, isActive) {
    const typists = steps.find(this.#core.state, key)?.typists;
    const id = `${key} ${user}`;
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    if (typists === undefined) return;
    if (isActive)
      this.#timers.set(
        id,
        setTimeout(() => this.#hear(key, user, false), typingMs),
      );
    const next = withTyping(typists, user, isActive);
    if (next !== typists) this.#core.set(steps.changed(this.#core.state, key, { typists: next }));
  }

  #say(key, active) {
    const conversation = steps.find(this.#core.state, key);
    if (conversation === undefined) return;
    const { kind, name } = conversation;
    void this.#core.ask('Typing', { ...(kind === 'topic' ? { topic: name } : { to: name }), active });
  }
}
