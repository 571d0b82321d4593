/**
 * The verdict over what a crowd went through: its log against the checker, its acks against the rows of the
 * store. What is wrong is told with the seed, and the log is left in a file.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DurableCrowd } from './durable-crowd.ts';
import { type AckedMessage, type DurableRecord, offsetUnknown, unknownFate } from './durable-record.ts';
import type { Rows } from './durable-rows.ts';
import { checkHistory } from './history-checker.ts';
import { formatViolations } from './history-events.ts';

export interface VerdictOptions {
  seed: number;
  /** Did the server ever have a reason to refuse? */
  mayRefuse: boolean;
}

/** Fails with everything that is wrong. */
export function judge({ record }: DurableCrowd, rows: Rows, { seed, mayRefuse }: VerdictOptions): void {
  const wrong = [...record.faults, ...disagreements(record.acked, rows)];
  const violations = checkHistory({
    ...{ events: record.events, final: rows.topics, mayRefuse },
    indefiniteCodes: ['internal', unknownFate],
  });
  if (wrong.length === 0 && violations.length === 0) return;
  const file = join(mkdtempSync(join(tmpdir(), 'carillon-chaos-')), 'log.json');
  const { events, refused, notices } = record;
  writeFileSync(file, JSON.stringify({ seed, wrong, violations, rows, events, refused, notices }));
  const faults = wrong.slice(0, 10).map((sentence) => `\n  ${sentence}`);
  assert.fail(
    `seed ${seed}, log in ${file}: ${formatViolations(violations)}\n${wrong.length} faults${faults.join('')}`,
  );
}

/** Numbers of a run, for its report. */
export function summary(record: DurableRecord): string {
  const codes = Object.entries(Object.groupBy(record.refused, ({ code }) => code));
  return [
    `${record.ackCount} acked`,
    `${record.duplicateCount} of them as duplicates of what was stored before`,
    `${record.deliveryCount} delivered, ${record.replayCount} of them as replay`,
    `${record.connectCount} connections`,
    `${record.caughtUpCount} direct messages caught up with`,
    `${record.blindCount} sessions without the position of their inbox`,
    `${record.endedCount} subscriptions ended`,
    `refused: ${codes.map(([code, list]) => `${list?.length} ${code}`).join(', ') || 'nothing'}`,
  ].join('; ');
}

/** Rows and acks, in both directions: what the checker does not look at. Fills in the offsets nobody was told. */
export function disagreements(acked: readonly AckedMessage[], { epoch, topics, keys }: Rows): string[] {
  const wrong: string[] = [];
  const offsetOf = new Map<string, number>();
  for (const { topic, lastOffset, messages } of topics) {
    const holes = messages.findIndex(({ offset }, index) => offset !== index + 1);
    if (holes >= 0)
      wrong.push(`the rows of ${topic} have offset ${messages[holes]?.offset} at place ${holes + 1}`);
    if (messages.length !== lastOffset)
      wrong.push(`${topic} ends at ${lastOffset} with ${messages.length} rows`);
    for (const { messageId, offset } of messages) offsetOf.set(`${topic} ${messageId}`, offset);
    const bodies = Map.groupBy(messages, ({ sender, body }) => `${sender} ${body}`);
    for (const [body, list] of bodies) {
      if (list.length > 1) wrong.push(`${body} has ${list.length} rows in ${topic}`);
    }
  }
  const stored = Map.groupBy(keys, ({ topic, sender, key }) => `${topic} ${sender} ${key}`);
  for (const [key, list] of stored) {
    if (list.length > 1) wrong.push(`key ${key} is stored ${list.length} times`);
  }
  for (const { topic, sender, key, step } of acked) {
    const offset = offsetOf.get(`${topic} ${step.messageId}`);
    if (step.offset === offsetUnknown && offset !== undefined) step.offset = offset;
    if (step.epoch !== epoch)
      wrong.push(`key ${key} was acked in epoch ${step.epoch}, and the store's is ${epoch}`);
    if (offset !== step.offset)
      wrong.push(`key ${key} was acked at ${topic} ${step.offset}, and is at ${offset}`);
    if (key.endsWith('/own')) continue;
    const [from] = sender.split('>');
    const known = stored.get(`${topic} ${from} ${key}`)?.[0];
    if (known?.messageId !== step.messageId || known.offset !== step.offset)
      wrong.push(`key ${key} was acked as ${step.messageId}, and is stored as ${JSON.stringify(known)}`);
  }
  return wrong;
}
