/**
 * A simulated client's own inbox: two streams. Live is what comes behind the position that `Connect` told; back is what came
 * before it, and is recovered.
 * Where `Connect` told no position (the store was away) a client cannot tell the two apart: what it recovers and what comes
 * live overlap, and it sorts them by offset. Then it is asked in the end whether it has everything.
 */
import type { SeenFrame, SimPosition, SimStep } from './sim-events.ts';

export interface InboxEvents {
  record: (step: SimStep, stream: 'live' | 'back') => void;
  fault: (sentence: string) => void;
}

type Back = 'none' | 'wanted' | 'asked' | 'running';

export class SimInbox {
  readonly topic: string;
  readonly #events: InboxEvents;
  /** Everything up to there was seen, on this connection or on those before. */
  #have: SimPosition | undefined;
  /** Where this connection began. */
  #start: SimPosition | undefined;
  #live = 0;
  #back: Back = 'none';
  #retryAtMs = 0;
  /** By offset, what came on a connection that told no position, of a client that has one to recover from. */
  #unsorted: Map<number, SeenFrame> | undefined;
  #isRecovered = false;

  constructor(topic: string, events: InboxEvents) {
    this.topic = topic;
    this.#events = events;
  }

  /** Of the youngest entry that came live. */
  get liveOffset(): number {
    return this.#live;
  }

  get isBlind(): boolean {
    return this.#start === undefined;
  }

  missing(): string | undefined {
    return this.#back === 'none' ? undefined : `recovers its inbox (${this.#back})`;
  }

  onConnect(start: SimPosition | undefined): void {
    this.#start = start;
    this.#live = start?.offset ?? 0;
    this.#back = this.#have === undefined ? 'none' : 'wanted';
    this.#unsorted = start === undefined && this.#have !== undefined ? new Map() : undefined;
    this.#isRecovered = false;
    if (this.#unsorted === undefined)
      this.#events.record({ kind: 'subscribe', topic: this.topic, from: start, filter: undefined }, 'live');
  }

  /** The position to recover from, when it is time to ask. */
  ask(nowMs: number): SimPosition | undefined {
    if (this.#back !== 'wanted' || nowMs < this.#retryAtMs) return undefined;
    this.#back = 'asked';
    return { ...(this.#have as SimPosition) };
  }

  onReply(since: SimPosition, data: Record<string, unknown>): void {
    const isRecovered = data['recovered'] === true;
    if (!isRecovered && data['recovered'] !== false)
      this.#events.fault('since of the inbox was not answered');
    if (this.#unsorted !== undefined) {
      this.#back = 'none';
      this.#isRecovered = isRecovered && this.#have !== undefined;
      if (!isRecovered) this.#loseSight(since);
    } else if (isRecovered) {
      this.#back = 'running';
      this.#events.record({ kind: 'resubscribe', topic: this.topic, since, filter: undefined }, 'back');
      this.#finishBack();
    } else {
      this.#back = 'none';
      this.#have = undefined;
      this.#events.record({ kind: 'gap', topic: this.topic, signal: 'ended', since }, 'back');
    }
  }

  onRefused(retryAtMs: number): void {
    this.#back = this.#have === undefined ? 'none' : 'wanted';
    this.#retryAtMs = retryAtMs;
  }

  onDelivery(seen: SeenFrame): void {
    if (this.#unsorted !== undefined) {
      this.#unsorted.set(seen.offset, seen);
      return;
    }
    const isBack = this.#start !== undefined && seen.offset <= this.#start.offset;
    const epoch = this.#start?.epoch;
    this.#events.record({ kind: 'deliver', topic: this.topic, ...seen, epoch }, isBack ? 'back' : 'live');
    if (!isBack) {
      this.#live = Math.max(this.#live, seen.offset);
      return;
    }
    if (this.#have !== undefined) this.#have.offset = Math.max(this.#have.offset, seen.offset);
    this.#finishBack();
  }

  /** Some of it is not kept any more, of one stream or the other. */
  onHole(): void {
    if (this.#unsorted !== undefined) return this.#loseSight(undefined);
    if (this.#back === 'running') {
      this.#events.record({ kind: 'gap', topic: this.topic, signal: 'ended' }, 'back');
      this.#back = 'none';
      this.#have = undefined;
    }
    this.#events.record({ kind: 'gap', topic: this.topic, signal: 'unrecovered' }, 'live');
  }

  onClosed(): void {
    if (this.#unsorted !== undefined && this.#isRecovered) {
      while (this.#unsorted.has((this.#have as SimPosition).offset + 1)) (this.#have as SimPosition).offset++;
    }
    const epoch = this.#start?.epoch;
    // What is missing of the past is asked for again; only then what came live counts as had.
    if (this.#back === 'none' && epoch !== undefined) this.#have = { epoch, offset: this.#live };
    this.#back = 'none';
    this.#start = undefined;
    this.#unsorted = undefined;
    this.#retryAtMs = 0;
  }

  /** The run is over: what was not sorted before is told in order. */
  finish(): void {
    const [since, unsorted] = [this.#have, this.#unsorted];
    if (since === undefined || unsorted === undefined || !this.#isRecovered) return;
    this.#events.record({ kind: 'resubscribe', topic: this.topic, since, filter: undefined }, 'live');
    const behind = [...unsorted.values()].filter(({ offset }) => offset > since.offset);
    for (const seen of behind.sort((one, other) => one.offset - other.offset)) {
      this.#events.record({ kind: 'deliver', topic: this.topic, ...seen, epoch: since.epoch }, 'live');
    }
  }

  /** What is before is out of reach, and where that ends is not known: no more is asked of this connection. */
  #loseSight(since: SimPosition | undefined): void {
    this.#have = undefined;
    this.#isRecovered = false;
    if (this.#back === 'wanted') this.#back = 'none';
    this.#unsorted = new Map();
    if (since !== undefined)
      this.#events.record({ kind: 'gap', topic: this.topic, signal: 'ended', since }, 'back');
  }

  #finishBack(): void {
    if (this.#back !== 'running') return;
    if ((this.#have as SimPosition).offset < (this.#start as SimPosition).offset) return;
    this.#events.record({ kind: 'unsubscribe', topic: this.topic }, 'back');
    this.#back = 'none';
  }
}
