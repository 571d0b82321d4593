/** Bursts of a topic in front of a connection: whoever reads as fast as one can is not slow. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#kit/clock.ts';
import { TimerWheel } from '#kit/timer-wheel.ts';
import { Outbox } from '../../../src/session/outbox.ts';
import type { SessionCounters, Transport } from '../../../src/session/ports.ts';
import { json, shard0, TopicWorld } from './topic-world.ts';

const outboxBytesMax = 1024 ** 2;

/** A connection whose kernel takes every byte at once: its client cannot read any faster. */
class QuickTransport implements Transport {
  writtenBytes = 0;

  write(frames: Uint8Array | Uint8Array[]): boolean {
    for (const frame of [frames].flat()) this.writtenBytes += frame.length;
    return true;
  }

  bufferedBytes(): number {
    return 0;
  }

  pauseReading(): void {}
  resumeReading(): void {}
  ping(): void {}
  close(): void {}
}

const counters = new Proxy({}, { get: () => () => {} }) as SessionCounters;

test('[SES3] a connection that takes everything at once is not slow, however much one turn brings', () => {
  const transport = new QuickTransport();
  const outbox = new Outbox(
    transport,
    { bytesMax: outboxBytesMax, batchMs: 0 },
    {
      schedule: { requestSlice() {}, requestWrite() {} },
      counters,
      ...{ clock: systemClock, timers: new TimerWheel(systemClock.monotonicMs()) },
    },
  );
  const world = new TopicWorld();
  world.subscribe(shard0, json);
  // Within one turn, as 40 senders may: each payload as large as a client frame.
  for (let count = 0; count < 40; count++) world.publish('x'.repeat(60_000));
  world.topic.flush();
  for (const { frames, frameCount, delivery } of world.deliveries)
    assert.equal(outbox.push(frames, frameCount, delivery), 'queued');
  outbox.write();
  assert.ok(transport.writtenBytes > 40 * 60_000);
});
