/**
 * Load of the presence scenario, in a process of its own: users who come and go, and watchers who are told of them.
 * Users come by the clock; an event is timed from when its user was due to connect, or said goodbye.
 */
import { createHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { atOnce } from './at-once.ts';
import type { RawWebSocket } from './raw-websocket.ts';
import { command, openSession } from './sessions.ts';
import { takeOrders } from './take-orders.ts';

export interface WatchOrder {
  do: 'watch';
  port: number;
  /** One of each watcher. */
  tokens: string[];
  /** `user-0` to the last one, each of them followed by so many watchers. */
  userCount: number;
  watchersPerUser: number;
  localAddress: string;
}

export interface StormOrder {
  do: 'storm';
  port: number;
  /** One of each user. */
  tokens: string[];
  arrivalMs: number;
  stayMs: number;
  /** Events that every user brings to watchers: told when they come and when they go. */
  eventsPerUser: number;
  localAddress: string;
}

export type PeopleOrder = WatchOrder | StormOrder;

export interface Latency {
  p50Ms: number;
  p99Ms: number;
}

export interface StormReport {
  told: number;
  expected: number;
  /** Watchers that were not told what they should have been. */
  wrongWatcherCount: number;
  closedWatcherCount: number;
  /** From a user's connect, and goodbye, to each watcher's event. */
  came: Latency;
  went: Latency;
  hereMax: number;
  lateMaxMs: number;
}

export type PeopleReply = { watching: number } | { storm: StormReport };

const openAtOnce = 20;
const tickMs = 1;
/** Of the protocol: users of one command. */
const usersPerCommand = 200;
const drainTimeoutMs = 10_000;

const watchers: { socket: RawWebSocket; told: number }[] = [];
const latencyOf = { join: createHistogram(), leave: createHistogram() };
/** When each user was due to come, or went: performance.now(). */
let momentsOf = { join: new Float64Array(0), leave: new Float64Array(0) };

takeOrders(async (order: PeopleOrder): Promise<PeopleReply> => {
  if (order.do === 'storm') return { storm: await storm(order) };
  await watch(order);
  return { watching: watchers.length };
});

async function watch({ port, tokens, userCount, watchersPerUser, localAddress }: WatchOrder): Promise<void> {
  const stride = userCount / tokens.length;
  await atOnce(openAtOnce, tokens.length, async (index) => {
    const { socket } = await openSession({ port, token: tokens[index] as string, localAddress });
    const users = Array.from(
      { length: stride * watchersPerUser },
      (_, place) => `user-${(index * stride + place) % userCount}`,
    );
    for (let at = 0; at < users.length; at += usersPerCommand)
      await command(socket, 'PresenceSubscribe', { users: users.slice(at, at + usersPerCommand) });
    const watcher = { socket, told: 0 };
    watchers[index] = watcher;
    socket.onPayload = (payload) => onEvent(watcher, payload.toString('latin1'));
  });
}

function onEvent(watcher: { told: number }, text: string): void {
  const user = Number(/"user":"user-(\d+)"/.exec(text)?.[1]);
  const event = /"event":"(join|leave)"/.exec(text)?.[1] as 'join' | 'leave' | undefined;
  if (event === undefined) throw new Error(`a watcher got ${text}`);
  watcher.told++;
  const waitedMs = performance.now() - (momentsOf[event][user] as number);
  latencyOf[event].record(Math.max(1, Math.round(waitedMs * 1000)));
}

async function storm(order: StormOrder): Promise<StormReport> {
  const { tokens, arrivalMs, eventsPerUser } = order;
  const count = tokens.length;
  momentsOf = { join: new Float64Array(count), leave: new Float64Array(count) };
  for (const latency of Object.values(latencyOf)) latency.reset();
  for (const watcher of watchers) watcher.told = 0;
  const here = { now: 0, max: 0 };
  const visits: Promise<void>[] = [];
  let lateMaxMs = 0;
  for (const startMs = performance.now(); visits.length < count; await sleep(tickMs)) {
    for (const nowMs = performance.now(); visits.length < count; ) {
      const dueMs = startMs + (visits.length * arrivalMs) / count;
      if (dueMs > nowMs) break;
      lateMaxMs = Math.max(lateMaxMs, nowMs - dueMs);
      momentsOf.join[visits.length] = dueMs;
      visits.push(visit(visits.length, order, here));
    }
  }
  await Promise.all(visits);
  const expected = count * eventsPerUser;
  await allTold(expected);
  const each = watchers.length === 0 ? 0 : expected / watchers.length;
  return {
    ...{ told: told(), expected, hereMax: here.max, lateMaxMs },
    wrongWatcherCount: watchers.filter((watcher) => watcher.told !== each).length,
    closedWatcherCount: watchers.filter(({ socket }) => socket.isClosed).length,
    came: percentilesOf('join'),
    went: percentilesOf('leave'),
  };
}

/** Comes, stays from `Connect` on, says goodbye; resolves when the server has ended the connection. */
async function visit(index: number, order: StormOrder, here: { now: number; max: number }): Promise<void> {
  const { port, localAddress, stayMs, tokens } = order;
  const { socket } = await openSession({ port, token: tokens[index] as string, localAddress });
  here.max = Math.max(here.max, ++here.now);
  await sleep(stayMs);
  if (socket.isClosed) throw new Error(`user-${index} was sent away`);
  const { promise: isGone, resolve } = Promise.withResolvers<void>();
  socket.onClosed = resolve;
  momentsOf.leave[index] = performance.now();
  socket.goodbye();
  await isGone;
  here.now--;
}

async function allTold(expected: number): Promise<void> {
  const deadlineMs = performance.now() + drainTimeoutMs;
  while (told() < expected && performance.now() < deadlineMs) await sleep(2);
}

function told(): number {
  return watchers.reduce((sum, watcher) => sum + watcher.told, 0);
}

function percentilesOf(event: 'join' | 'leave'): Latency {
  const latency = latencyOf[event];
  return { p50Ms: latency.percentile(50) / 1000, p99Ms: latency.percentile(99) / 1000 };
}
