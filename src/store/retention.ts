/**
 * Takes away what is older than RETENTION, or than the retention of its topic's rule.
 * Thread: store. Started by store-control.ts where anything has an end. In small bites, so that appends come between them.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type TopicKey, topicOfKey } from '#proto/names.ts';
import { ruleOf, type TopicRule } from '../routing/topic-class.ts';
import type { HistoryStore } from './history-store.ts';

/** Between two rounds over all topics, milliseconds. */
const roundEveryMs = 10 * 60_000;
/** Entries of one bite, and topics of one look. */
const biteMax = 500;
const topicsMax = 500;
/** Between two bites, milliseconds. */
const restMs = 5;

export interface RetentionContext {
  store: Pick<HistoryStore, 'topics' | 'prune'>;
  clock: { wallMs: () => number };
  rules: readonly TopicRule[];
  /** Of topics whose rule says nothing; undefined: for ever. */
  retentionMs: number | undefined;
  onPruned: (entryCount: number) => void;
  onFailure: (error: unknown) => void;
}

export class Retention {
  readonly #ctx: RetentionContext;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(ctx: RetentionContext) {
    this.#ctx = ctx;
  }

  /** Does nothing where everything is kept for ever. */
  start(): void {
    const { retentionMs, rules } = this.#ctx;
    if (retentionMs === undefined && rules.every((rule) => rule.retentionMs === undefined)) return;
    void this.round().catch(this.#ctx.onFailure);
    this.#timer = setInterval(() => void this.round().catch(this.#ctx.onFailure), roundEveryMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  /** Once over all topics. Rejects when the store cannot be used; the next round goes on. */
  async round(): Promise<void> {
    let after: TopicKey | undefined;
    for (;;) {
      const topics = await this.#ctx.store.topics({ after, limit: topicsMax });
      for (const topic of topics) await this.#prune(topic);
      after = topics.at(-1);
      if (topics.length < topicsMax || this.#isStopped) return;
    }
  }

  async #prune(topic: TopicKey): Promise<void> {
    const { store, clock, rules, retentionMs: byDefault, onPruned } = this.#ctx;
    const retentionMs = ruleOf(rules, topicOfKey(topic)).retentionMs ?? byDefault;
    if (retentionMs === undefined) return;
    const beforeMs = clock.wallMs() - retentionMs;
    let count = biteMax;
    while (count === biteMax && !this.#isStopped) {
      count = await store.prune({ topic, beforeMs, limit: biteMax });
      if (count === 0) return;
      onPruned(count);
      await sleep(restMs);
    }
  }
}
