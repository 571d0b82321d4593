/** What this person writes, edits and deletes: on its way until the server has answered. Owned by chat.js. */
import { changeOf, commandOf, isTooLarge, payloadOf } from '../payload.js';
import * as steps from '../state.js';
import { errorWords } from '../wording.js';

export class OwnMessages {
  #core;
  /** By envelope id: the command of an own message, to send it again as it was. */
  #commands = new Map();

  constructor(core) {
    this.#core = core;
  }

  /** Answers what is wrong with the text, or undefined. */
  post(key, text) {
    const { state } = this.#core;
    const { shard, maxMessageBytes } = state.phase;
    const command = commandOf(steps.find(state, key), payloadOf(text, shard));
    if (isTooLarge(command, maxMessageBytes)) return errorWords({ code: 'message_too_large' });
    this.#commands.set(command.id, command);
    const message = { id: command.id, from: state.me, text, atMs: Date.now(), shard };
    this.#core.set(steps.posted(state, key, message));
    void this.#deliver(command);
    return undefined;
  }

  /** One that failed, again under its id: if the server has it after all, it stays one message. */
  postAgain(id) {
    this.#core.set(steps.settled(this.#core.state, id, { state: 'sending' }));
    void this.#deliver(this.#commands.get(id));
  }

  /** `{kind: 'edit', text}` or `{kind: 'delete'}`. */
  async change(messageId, change) {
    const { state } = this.#core;
    const { kind, text } = change;
    const command = changeOf(messageId, { kind, text }, steps.findMessage(state, messageId)?.shard);
    if (isTooLarge(command, state.phase.maxMessageBytes))
      return this.#fail(messageId, change, errorWords({ code: 'message_too_large' }));
    this.#set(messageId, { change: { kind, text, state: 'sending' } });
    const { type, data } = await this.#core.deliver(command);
    if (type !== 'Error') {
      if (kind === 'edit') this.#set(messageId, { text, editedAt: data.editedAt, change: undefined });
      else this.#core.set(steps.removed(this.#core.state, messageId));
    } else if (kind === 'delete' && data.code === 'not_found') {
      // It was deleted before: by another window, or by this command, whose reply was lost.
      this.#core.set(steps.removed(this.#core.state, messageId));
    } else {
      this.#fail(messageId, change, errorWords(data));
    }
  }

  /** One that failed and is not wanted any more. */
  dropChange(messageId) {
    this.#set(messageId, { change: undefined });
  }

  async #deliver(command) {
    const { type, data } = await this.#core.deliver(command);
    const { state } = this.#core;
    if (type === 'Error') {
      const delivery = { state: 'failed', problem: errorWords(data) };
      return this.#core.set(steps.settled(state, command.id, delivery));
    }
    this.#commands.delete(command.id);
    this.#core.set(steps.settled(state, command.id, { state: 'sent' }, data));
  }

  #fail(messageId, { kind, text }, problem) {
    this.#set(messageId, { change: { kind, text, state: 'failed', problem } });
  }

  #set(messageId, fields) {
    this.#core.set(steps.amended(this.#core.state, messageId, fields));
  }
}
