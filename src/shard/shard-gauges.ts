/** What is measured now and then instead of counted: table sizes, loop delay, the rate of messages. Thread: shard. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { MetricsRow } from '../observe/metrics-table.ts';

const measureEveryMs = 1_000;
/** The rate and the loop delay cover this long: five measurements. */
const windowMeasurements = 5;

export interface GaugeSources {
  sessionCount(): number;
  topicCount(): number;
  userCount(): number;
  /** Bytes on their way to clients, in outboxes and sockets. */
  outboxBytes(): number;
}

export class ShardGauges {
  readonly #metrics: MetricsRow;
  readonly #sources: GaugeSources;
  readonly #loopDelay = monitorEventLoopDelay({ resolution: 20 });
  /** Message totals of the last measurements, oldest first. */
  #totals: { atMs: number; messages: number }[] = [];
  #nextMs = 0;
  #measurements = 0;

  constructor(metrics: MetricsRow, sources: GaugeSources) {
    this.#metrics = metrics;
    this.#sources = sources;
    this.#loopDelay.enable();
  }

  /** Called every tick; measures once a second. */
  measure(nowMs: number): void {
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + measureEveryMs;
    this.#metrics.setOf('actors', 'session', this.#sources.sessionCount());
    this.#metrics.setOf('actors', 'topic', this.#sources.topicCount());
    this.#metrics.setOf('actors', 'user', this.#sources.userCount());
    this.#metrics.set('outboxBytes', this.#sources.outboxBytes());
    this.#measureRate(nowMs);
    if (++this.#measurements % windowMeasurements !== 0) return;
    this.#metrics.set('loopDelay', this.#loopDelay.percentile(99) / 1e9);
    this.#loopDelay.reset();
  }

  #measureRate(nowMs: number): void {
    const messages = this.#metrics.getOf('messages', 'in') + this.#metrics.getOf('messages', 'out');
    this.#totals = [...this.#totals.slice(-windowMeasurements), { atMs: nowMs, messages }];
    const oldest = this.#totals[0] as { atMs: number; messages: number };
    const elapsedMs = nowMs - oldest.atMs;
    this.#metrics.set(
      'messagesPerSecond',
      elapsedMs === 0 ? 0 : ((messages - oldest.messages) * 1000) / elapsedMs,
    );
  }
}
