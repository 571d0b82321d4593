/**
 * Load of the typing scenario, in a process of its own: topics whose listeners take turns at writing something.
 * Every `Typing` is news: of two of one user in one topic, the first begins and the second ends it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { atOnce } from './at-once.ts';
import type { RawWebSocket } from './raw-websocket.ts';
import { command, frameOf, openSession } from './sessions.ts';
import { takeOrders } from './take-orders.ts';

export interface TypingAudience {
  port: number;
  /** One of each listener, who is a user of their own. */
  tokens: string[];
  topicCount: number;
  localAddress: string;
}

export type TypingOrder =
  | { do: 'listen'; audience: TypingAudience }
  | { do: 'type'; perSecond: number; seconds: number };

export interface TypingReport {
  sent: number;
  delivered: number;
  expected: number;
  closedCount: number;
  lateMaxMs: number;
}

export type TypingReply = { listening: number } | { typed: TypingReport };

const openAtOnce = 20;
const tickMs = 1;
/** What was not told by then is taken as dropped. */
const drainTimeoutMs = 2000;

/** By topic. */
const listeners: RawWebSocket[][] = [];

takeOrders(async (order: TypingOrder): Promise<TypingReply> => {
  if (order.do === 'type') return { typed: await type(order.perSecond, order.seconds) };
  await listen(order.audience);
  return { listening: listeners.length };
});

function topicName(topic: number): string {
  return `bench:typing:${topic}`;
}

async function listen({ port, tokens, topicCount, localAddress }: TypingAudience): Promise<void> {
  for (let topic = 0; topic < topicCount; topic++) listeners.push([]);
  await atOnce(openAtOnce, tokens.length, async (index) => {
    const { socket } = await openSession({ port, token: tokens[index] as string, localAddress });
    const topic = index % topicCount;
    await command(socket, 'Subscribe', { topic: topicName(topic) });
    (listeners[topic] as RawWebSocket[]).push(socket);
  });
}

/** Open loop: when it is late it catches up. */
async function type(perSecond: number, seconds: number): Promise<TypingReport> {
  // Whoever began has ended.
  const round = 2 * listeners.length;
  const total = Math.ceil((perSecond * seconds) / round) * round;
  const before = frames();
  let expected = 0;
  let lateMaxMs = 0;
  const startMs = performance.now();
  for (let next = 0; next < total; await sleep(tickMs)) {
    for (const nowMs = performance.now(); next < total; next++) {
      const dueMs = startMs + (next * 1000) / perSecond;
      if (dueMs > nowMs) break;
      lateMaxMs = Math.max(lateMaxMs, nowMs - dueMs);
      expected += typeOne(next);
    }
  }
  const deadlineMs = performance.now() + drainTimeoutMs;
  while (frames() - before < expected && performance.now() < deadlineMs) await sleep(2);
  const closedCount = listeners.flat().filter(({ isClosed }) => isClosed).length;
  return { sent: total, delivered: frames() - before, expected, closedCount, lateMaxMs };
}

/** Answers how many are told of it. */
function typeOne(number: number): number {
  const topic = number % listeners.length;
  const turn = Math.floor(number / listeners.length);
  const members = listeners[topic] as RawWebSocket[];
  const typist = members[(turn >> 1) % members.length] as RawWebSocket;
  typist.send(frameOf('Typing', { topic: topicName(topic), active: turn % 2 === 0 }));
  return members.length;
}

function frames(): number {
  return listeners.flat().reduce((sum, { frameCount }) => sum + frameCount, 0);
}
