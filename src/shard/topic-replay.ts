/**
 * A stretch of a topic's past, published anew into another topic at its own pace, or faster.
 * Thread: shard. Run by http/replay-routes.ts, one call at a time; ends when its caller goes away. A message at a time: the
 * next one is published when the last is accepted, so that a replay never has more than one message on its way.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCodes } from '#proto/error-codes.ts';
import type { TopicKey } from '#proto/names.ts';
import type { AnswerReceiver, HistoryPort, Requested, TopicPort } from '../session/ports.ts';
import type { Page, StoredMessage } from '../store/history-store.ts';
import type { Answer } from '../wire/message.ts';
import { Payload } from '../wire/payload.ts';

/** Messages of one read. */
const pageMax = 200;
const retryMs = 500;
const sliceMs = 86_400_000;

export interface ReplayRequest {
  /** Names the replay in the keys of what it publishes: none is published twice. */
  id: string;
  source: TopicKey;
  into: TopicKey;
  /** Accepted in this stretch, wall clock, milliseconds; `toMs` excluded. */
  fromMs: number;
  toMs: number;
  /** Times as fast as it was; Infinity: without waiting. */
  speed: number;
}

export interface ReplayContext {
  topics: Pick<TopicPort, 'publish'>;
  history: Pick<HistoryPort, 'ask'>;
  signal: AbortSignal;
}

/** Yields the offset of each message that was published. Throws an Error with a sentence when it cannot go on. */
export async function* replayTopic(request: ReplayRequest, ctx: ReplayContext): AsyncGenerator<number> {
  const { fromMs, toMs, speed } = request;
  let lastMs: number | undefined;
  for await (const message of messagesOf(request.source, ctx)) {
    if (message.timestampMs < fromMs || message.deletedAtMs !== undefined) continue;
    if (message.timestampMs >= toMs) return;
    const waitMs = lastMs === undefined ? 0 : (message.timestampMs - lastMs) / speed;
    await rest(waitMs, ctx.signal);
    lastMs = message.timestampMs;
    await publish(message, request, ctx);
    yield message.offset;
  }
}

/** In slices: a timer of Node holds no more than 24 days. */
async function rest(waitMs: number, signal: AbortSignal): Promise<void> {
  for (let leftMs = waitMs; leftMs >= 1; leftMs -= sliceMs) {
    await sleep(Math.min(leftMs, sliceMs), undefined, { signal });
  }
}

async function* messagesOf(topic: TopicKey, ctx: ReplayContext): AsyncGenerator<StoredMessage> {
  let after = 0;
  for (;;) {
    const request = { topic, view: 'messages' as const, after, limit: pageMax };
    const answer = await patiently(ctx.signal, (receiver) => ctx.history.ask('page', request, receiver));
    const { messages, hasMore } = answer.result as Page;
    yield* messages;
    if (!hasMore) return;
    after = messages.at(-1)?.offset ?? after;
  }
}

async function publish(
  { from, event, priority, payload, offset }: StoredMessage,
  { id, into }: ReplayRequest,
  { topics, signal }: ReplayContext,
): Promise<void> {
  const key = `replay:${id}:${offset}`;
  const message = { from, payload: Payload.ofMsgpack(payload), event, priority, ttlMs: undefined, key };
  await patiently(signal, (receiver) => topics.publish(into, message, receiver));
}

/** Again, while what refuses says that it may go later. */
async function patiently(
  signal: AbortSignal,
  request: (receiver: AnswerReceiver) => Requested,
): Promise<Extract<Answer, { ok: true }>> {
  for (;;) {
    signal.throwIfAborted();
    const answer = await answerTo(request);
    if (answer.ok) return answer;
    const { code, message, retryAfterMs = retryMs } = answer.refusal;
    if (!errorCodes[code].retryable) throw new Error(message);
    await sleep(retryAfterMs, undefined, { signal });
  }
}

function answerTo(request: (receiver: AnswerReceiver) => Requested): Promise<Answer> {
  return new Promise((resolve) => {
    const requested = request({ onAnswer: (_correlation, answer) => resolve(answer) });
    if (requested.state === 'answered') resolve(requested.answer);
  });
}
