/**
 * One measurement of delivered messages: a server, its load, the CPU between the first message and the last delivery.
 * Shared by every scenario that delivers; each of them says who listens and who publishes.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Encoding, ServerName } from './load/dialects.ts';
import type { Order, Reply } from './load/message-load.ts';
import type { PacedSend, ReceiveReport, SaturatingSend, SendReport } from './load/orders.ts';
import { LoadProcess } from './load-process.ts';
import type { Row } from './scenario.ts';
import { startServer, tokensOf } from './servers.ts';

/** A server as it is measured: the same one may appear with different settings. */
export interface Candidate {
  server: ServerName;
  /** Its name in the rows. */
  label: string;
  settings?: Record<string, string>;
}

export interface Work {
  kind: 'topics' | 'users';
  /** What each listening client listens to. */
  targetsOf: number[][];
  targetCount: number;
  encodings?: Encoding[];
  /** Clients in a process of their own that only publish; 0: the listeners publish themselves. */
  publisherCount: number;
  payloadBytes: number;
  /** See Audience. */
  isLikeJson?: boolean;
  offersDeflate?: boolean;
  seconds: number;
  /** A rate, or so many under way to each target. */
  pace: { publishesPerSecond: number } | { inFlightPerTarget: number };
}

export interface Measurement {
  /** A sentence where the run counts for nothing: messages were lost. */
  complaint: string | undefined;
  cpuMicrosecondsPerDelivery: number;
  deliveriesPerSecond: number;
  received: ReceiveReport;
  lateMaxMs: number;
  tookMs: number;
}

type MessageLoad = LoadProcess<Order, Reply>;

/** Published and not counted before every measurement: code gets compiled, buffers grow. Seconds. */
const warmUpSeconds = 3;
/** For what is left of warming up, garbage above all. Milliseconds. */
const settleMs = 200;
const receiveTimeoutMs = 30_000;
/** Clients whose messages are read for their latency. */
const readersMax = 8;
/** Later than this behind its schedule, the load measures itself. */
const lateBoundMs = 50;
/** Busier than this, the process that reads could not do more: the machine was full, not the server alone. */
const busyBound = 0.97;

export function candidate(server: ServerName, label: string = server, settings = {}): Candidate {
  return { server, label, settings };
}

export async function measure({ server: name, settings }: Candidate, work: Work): Promise<Measurement> {
  const server = await startServer(name, settings);
  const listening: MessageLoad = new LoadProcess('message-load.ts');
  const publishing: MessageLoad = work.publisherCount === 0 ? listening : new LoadProcess('message-load.ts');
  try {
    await openAll(listening, publishing, work, { server: name, port: server.port });
    if (work.seconds > warmUpSeconds) {
      await run(listening, publishing, work, warmUpSeconds);
      await sleep(settleMs);
    }
    const before = server.cpuMicroseconds();
    const result = await run(listening, publishing, work, work.seconds);
    return measurementOf(result, server.cpuMicroseconds() - before);
  } finally {
    listening.end();
    publishing.end();
    await server.stop();
  }
}

async function openAll(
  listening: MessageLoad,
  publishing: MessageLoad,
  { kind, targetsOf, encodings = ['json'], publisherCount, ...work }: Work,
  { server, port }: { server: ServerName; port: number },
): Promise<void> {
  const { payloadBytes, isLikeJson = false, offersDeflate = false } = work;
  const shared = { server, port, kind, payloadBytes, isLikeJson, offersDeflate };
  const tokens = tokensOf(kind === 'users' ? targetsOf.length : 1);
  const readerCount = publisherCount === 0 && kind === 'users' ? targetsOf.length : readersMax;
  const audience = { ...shared, tokens, encodings, targetsOf, readerCount };
  await listening.order({ do: 'open', audience });
  if (publishing === listening) return;
  const nobody = Array.from({ length: publisherCount }, () => []);
  await publishing.order({
    do: 'open',
    audience: { ...shared, tokens, encodings: ['json'], targetsOf: nobody, readerCount: 0 },
  });
}

interface RunResult {
  sent: SendReport;
  received: ReceiveReport;
  tookMs: number;
}

async function run(
  listening: MessageLoad,
  publishing: MessageLoad,
  { pace, targetCount }: Work,
  seconds: number,
): Promise<RunResult> {
  await listening.order({ do: 'mark' });
  const startedMs = performance.now();
  const { sent } = (await publishing.order(
    'publishesPerSecond' in pace
      ? { do: 'send', send: { ...pace, seconds, targetCount, seed: seconds } satisfies PacedSend }
      : { do: 'saturate', send: { ...pace, seconds, targetCount } satisfies SaturatingSend },
  )) as { sent: SendReport };
  const { publishedTo } = sent;
  const { received } = (await listening.order({
    do: 'receive',
    publishedTo,
    timeoutMs: receiveTimeoutMs,
  })) as { received: ReceiveReport };
  return { sent, received, tookMs: performance.now() - startedMs };
}

function measurementOf({ sent, received, tookMs }: RunResult, cpuMicroseconds: number): Measurement {
  return {
    complaint: complaintOf(received),
    cpuMicrosecondsPerDelivery: cpuMicroseconds / received.delivered,
    deliveriesPerSecond: (received.delivered / tookMs) * 1000,
    received,
    lateMaxMs: sent.lateMaxMs,
    tookMs,
  };
}

function complaintOf(received: ReceiveReport): string | undefined {
  const { delivered, expected, wrongClientCount, closedClientCount } = received;
  if (closedClientCount > 0) return `${closedClientCount} connections were closed by the server`;
  if (delivered !== expected) return `${delivered} of ${expected} messages were delivered`;
  if (wrongClientCount > 0) return `${wrongClientCount} clients got more or less than what was theirs`;
  return undefined;
}

/** The row of a measurement; without a value where it is void. */
export function rowOf(
  setting: string,
  { label }: Candidate,
  measurement: Measurement,
  [value, unit]: [value: number, unit: string] = [measurement.cpuMicrosecondsPerDelivery, 'µs CPU/delivery'],
): Row {
  if (measurement.complaint !== undefined)
    return { setting, server: label, state: 'void', value: Number.NaN, unit, note: measurement.complaint };
  return { setting, server: label, state: 'measured', value, unit, note: noteOf(measurement) };
}

function noteOf({ received, lateMaxMs, deliveriesPerSecond }: Measurement): string {
  const { p50Ms, p99Ms, delivered, readCount, busyShare } = received;
  const parts = [
    `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`,
    `${(deliveriesPerSecond / 1000).toFixed(1)}k deliveries/s`,
    `${(delivered / readCount).toFixed(1)} a read`,
  ];
  if (lateMaxMs > lateBoundMs) parts.push(`the load fell behind by ${lateMaxMs.toFixed(0)} ms`);
  if (busyShare > busyBound)
    parts.push(`the load was busy for ${(busyShare * 100).toFixed(0)} % of the time`);
  return parts.join('; ');
}
