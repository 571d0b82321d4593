/**
 * The others: a topic whose publisher never stops, and subscribers who are timed while something else happens to the
 * server. In a process of its own. Open loop, latency as in clients.ts.
 */
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { atOnce } from './at-once.ts';
import { duesIn, textDue } from './clients.ts';
import { monotonicMicroseconds } from './monotonic.ts';
import type { RawWebSocket } from './raw-websocket.ts';
import { command, frameOf, openSession } from './sessions.ts';
import { takeOrders } from './take-orders.ts';

export interface SteadyAudience {
  port: number;
  token: string;
  localAddress: string;
  topic: string;
  subscriberCount: number;
  publishesPerSecond: number;
  payloadBytes: number;
  /** Only connections on this shard, so that the death of another one is none of theirs. */
  shard: number;
}

export type SteadyOrder =
  | { do: 'start'; audience: SteadyAudience }
  /** How it was since the last lap. */
  | { do: 'lap' }
  /** No more messages; answers when all are there. */
  | { do: 'stop' };

export interface SteadyLap {
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  lateMaxMs: number;
}
export interface SteadyReport {
  delivered: number;
  expected: number;
  closedCount: number;
}
export type SteadyReply = { started: true } | { lap: SteadyLap } | { stopped: SteadyReport };

const openAtOnce = 20;
const tickMs = 1;
/** Clients whose messages are read for their latency. */
const readersMax = 8;
const drainTimeoutMs = 10_000;

const latency = createHistogram();
const subscribers: RawWebSocket[] = [];
let publishing: Promise<void> | undefined;
const stopping = new AbortController();
let sent = 0;
let lateMaxMicroseconds = 0;
let countBefore = 0;

takeOrders(async (order: SteadyOrder): Promise<SteadyReply> => {
  if (order.do === 'start') {
    await start(order.audience);
    return { started: true };
  }
  return order.do === 'lap' ? { lap: lap() } : { stopped: await stop() };
});

async function start(audience: SteadyAudience): Promise<void> {
  await atOnce(openAtOnce, audience.subscriberCount, async (index) => {
    const socket = await openOn(audience);
    subscribers[index] = socket;
    await command(socket, 'Subscribe', { topic: audience.topic });
    if (index < readersMax) socket.onPayload = recordLatency;
  });
  const publisher = await openOn(audience);
  countBefore = frames();
  publishing = publish(publisher, audience);
}

/** The server places connections by their ports: so many are opened until one is there. */
async function openOn({ port, token, localAddress, shard }: SteadyAudience): Promise<RawWebSocket> {
  for (;;) {
    const { socket, connected } = await openSession({ port, token, localAddress });
    if (connected.shard === shard) return socket;
    socket.goodbye();
  }
}

async function publish(publisher: RawWebSocket, audience: SteadyAudience): Promise<void> {
  const { topic, publishesPerSecond, payloadBytes } = audience;
  const intervalMicroseconds = 1_000_000 / publishesPerSecond;
  const startMicroseconds = monotonicMicroseconds();
  while (!stopping.signal.aborted) {
    const nowMicroseconds = monotonicMicroseconds();
    let isQueued = false;
    for (;;) {
      const due = startMicroseconds + sent * intervalMicroseconds;
      if (due > nowMicroseconds) break;
      lateMaxMicroseconds = Math.max(lateMaxMicroseconds, nowMicroseconds - due);
      publisher.queue(frameOf('Broadcast', { topic, payload: textDue(due, payloadBytes) }));
      isQueued = true;
      sent++;
    }
    if (isQueued) publisher.flush();
    await sleep(tickMs);
  }
}

function recordLatency(payload: Buffer): void {
  const nowMicroseconds = monotonicMicroseconds();
  for (const due of duesIn(payload)) latency.record(Math.max(1, Math.round(nowMicroseconds - due)));
}

function lap(): SteadyLap {
  const [p50Ms, p99Ms, maxMs] = [latency.percentile(50), latency.percentile(99), latency.max].map(
    (microseconds) => microseconds / 1000,
  ) as [number, number, number];
  const lateMaxMs = lateMaxMicroseconds / 1000;
  latency.reset();
  lateMaxMicroseconds = 0;
  return { p50Ms, p99Ms, maxMs, lateMaxMs };
}

async function stop(): Promise<SteadyReport> {
  stopping.abort();
  await publishing;
  const expected = sent * subscribers.length;
  const deadlineMs = performance.now() + drainTimeoutMs;
  while (frames() - countBefore < expected && performance.now() < deadlineMs) await sleep(2);
  const closedCount = subscribers.filter(({ isClosed }) => isClosed).length;
  return { delivered: frames() - countBefore, expected, closedCount };
}

function frames(): number {
  return subscribers.reduce((sum, { frameCount }) => sum + frameCount, 0);
}
