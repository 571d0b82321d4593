/**
 * A log whose entries are committed before anyone sees them: what is sent to it, and what its owner hands on.
 * Thread: the home's shard. Owned by a topic or user actor. [DUR1]
 */
import { type Refusal, refusal } from '#proto/error-codes.ts';
import { type MessageId, type TopicKey, type TopicName, topicOfKey, type UserId } from '#proto/names.ts';
import { digestOf } from '../protect/recent-keys.ts';
import type { ReceiptMark, StoredMessage } from '../store/history-store.ts';
import { type Amendment, type Answer, type Message, refused, type Since } from '../wire/message.ts';
import { Payload } from '../wire/payload.ts';
import { Appends, storeDown } from './appends.ts';
import type { HotLog, LogPublication } from './hot-log.ts';
import type { AppendRequest, InboxCopy, LogContext } from './ports.ts';
import { publicationOf } from './replay.ts';
import { StoredLog } from './stored-log.ts';

export interface LogOwner {
  /** Every entry, once and in order. */
  emit: (publication: LogPublication) => void;
  /** Nothing is at hand any more: the owner may be idle now. */
  onCold: () => void;
}

/** In an inbox: with whom the conversation is, and the inbox of the other side. */
export interface Conversation {
  peer: UserId;
  copy: InboxCopy | undefined;
}

const noConversation = { peer: undefined, copy: undefined };

export class DurableLog {
  readonly #topic: TopicKey;
  readonly #ctx: LogContext;
  readonly #log: StoredLog;
  readonly #appends: Appends;

  constructor(topic: TopicKey, ctx: LogContext, owner: LogOwner) {
    this.#topic = topic;
    this.#ctx = ctx;
    this.#log = new StoredLog(topic, ctx, owner);
    this.#appends = new Appends(ctx.store);
  }

  get isIdle(): boolean {
    return this.#log.isIdle && this.#appends.isSettled;
  }

  /**
   * Calls back now, or when enough is known to answer who has everything up to `since`: the end of the log, and whether the
   * store still has what is not at hand. With the refusal when the store could not be asked, or not within `patienceMs`.
   */
  whenKnown(
    since: Since | undefined,
    onKnown: (log: HotLog | undefined, down: Answer) => void,
    patienceMs?: number,
  ): void {
    this.#log.whenKnown((log) => {
      if (log === undefined || since === undefined || log.canAnswer(since)) return onKnown(log, storeDown());
      this.#log.refresh(log, since.offset, (isFresh) => onKnown(isFresh ? log : undefined, storeDown()));
    }, patienceMs);
  }

  /** `onAnswer` is called once, in the order of the calls, after the commit; the owner has had the entry by then. */
  publish(message: Message, onAnswer: (answer: Answer) => void, conversation?: Conversation): MessageId {
    const { from, key, event, priority, payload } = message;
    const entry = this.#entry('message', from, conversation);
    this.#append({ ...entry, key, event, priority, digest: digestOf(message) }, payload, onAnswer);
    return entry.messageId;
  }

  /** As publish; the message itself is changed with it. */
  amend(amendment: Amendment, onAnswer: (answer: Answer) => void, conversation?: Conversation): void {
    const { kind, target, from, mayAmendAny, payload } = amendment;
    const entry = this.#entry(kind, from, conversation);
    this.#append({ ...entry, target, mayAmendAny }, payload ?? Payload.ofValue(null), onAnswer);
  }

  /** Another home heard that the entry at `offset` was stored before. */
  onHeard(offset: number): void {
    this.#log.onHeard(offset);
  }

  onStoreRestarted(): void {
    this.#log.onStoreRestarted();
  }

  /** An entry that another home had stored here. */
  onCopied(message: StoredMessage): void {
    this.#log.onStored(publicationOf(this.#name, message));
  }

  /** `onAnswer` is called once, when the mark is taken: with the log, so that its owner can tell others. */
  mark(mark: Omit<ReceiptMark, 'topic' | 'atMs'>, onAnswer: (answer: Answer, log?: HotLog) => void): void {
    this.#log.whenKnown((log) => {
      if (log === undefined) return onAnswer(storeDown());
      if (mark.offset > log.position) return onAnswer(refused(beyondEnd(mark.offset, log.position)));
      const atMs = this.#ctx.clock.wallMs();
      const taken = this.#ctx.marks.add({ topic: this.#topic, ...mark, atMs });
      if (taken === 'taken') onAnswer({ ok: true }, log);
      else onAnswer(refused(refusal('busy', 'too many marks wait for the store', 1000)));
    });
  }

  get #name(): TopicName {
    return topicOfKey(this.#topic);
  }

  #append(entry: Omit<AppendRequest, 'payload'>, payload: Payload, onAnswer: (answer: Answer) => void): void {
    const request: AppendRequest = { ...entry, payload: payload.msgpack };
    this.#appends.append(request, {
      onStored: (offset, copyOffset) => {
        this.#ctx.acceptance.accepted();
        const publication = publicationOf(this.#name, storedMessage(request, offset), payload);
        this.#log.onStored({ ...publication, copyOffset });
      },
      onDuplicate: (offset) => {
        this.#ctx.acceptance.duplicate();
        this.#log.onHeard(offset); // its own answer may have gone to a home that died
      },
      onAnswer,
    });
  }

  /** With everything that a plain message has not. */
  #entry(
    kind: AppendRequest['kind'],
    from: UserId,
    { peer, copy }: Conversation | typeof noConversation = noConversation,
  ): Omit<AppendRequest, 'payload'> {
    return {
      ...{ kind, from, peer, copy, topic: this.#topic, messageId: this.#ctx.messageIds.next() as MessageId },
      ...{ target: undefined, mayAmendAny: false, key: undefined, digest: 0 },
      ...{ event: undefined, priority: undefined, timestampMs: this.#ctx.clock.wallMs() },
    };
  }
}

function beyondEnd(offset: number, end: number): Refusal {
  return refusal('bad_request', `data.offset ${offset} is beyond the end of the topic, which is ${end}`);
}

function storedMessage(request: AppendRequest, offset: number): StoredMessage {
  const { kind, messageId, from, peer, target, event, priority, payload, timestampMs } = request;
  return {
    ...{ kind, offset, messageId, from, peer, target, event, priority, payload, timestampMs },
    ...{ editedAtMs: undefined, deletedAtMs: undefined },
  };
}
