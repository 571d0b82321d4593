/**
 * Whether a transaction was committed whose COMMIT has no answer.
 * Thread: store. Called by postgres-history-store.ts. It is not guessed: first the transaction must be over (the
 * connection may be lost while the database still works on it, or waits for us), then its messages are there or not.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '#kit/clock.ts';
import type { Evidence } from './append.ts';
import { type Sql, sqlStateOf } from './sql.ts';

const pauseMs = 100;
/** Of a transaction that this database does not know: it is another one's, promoted without it. */
const unknownTransaction = '22023';

/** `ask` brings a connection, a new one if need be. Undefined: nobody could be asked in that time. */
export async function isStored(
  evidence: Evidence,
  timeoutMs: number,
  ask: <Answer>(run: (sql: Sql) => Promise<Answer>) => Promise<Answer>,
): Promise<boolean | undefined> {
  const endMs = systemClock.monotonicMs() + timeoutMs;
  do {
    try {
      const answer = await ask((sql) => answerOf(sql, evidence));
      if (answer !== undefined) return answer;
    } catch {
      // It is not there yet, or lost again.
    }
    await sleep(pauseMs);
  } while (systemClock.monotonicMs() < endMs);
  return undefined;
}

/** Undefined while the transaction runs. */
async function answerOf(
  sql: Sql,
  { transactionId, topicId, messageId }: Evidence,
): Promise<boolean | undefined> {
  if (await isRunning(sql, transactionId)) {
    // Nobody is behind it any more, and it holds the rows of its topics.
    await sql.all(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_xid = $1::xid8::xid',
      [transactionId],
    );
    return undefined;
  }
  const rows = await sql.all('SELECT 1 FROM messages WHERE message_id = $1 AND topic_id = $2', [
    ...[messageId, topicId],
  ]);
  return rows.length > 0;
}

async function isRunning(sql: Sql, transactionId: string): Promise<boolean> {
  try {
    const [row] = await sql.all<{ status: string | null }>('SELECT pg_xact_status($1::xid8) AS status', [
      transactionId,
    ]);
    return row?.status === 'in progress';
  } catch (error) {
    if (sqlStateOf(error) === unknownTransaction) return false;
    throw error;
  }
}
