/** What the archive command shows: a table that lines up, lines for programs, a bar for terminals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { archiveLines, archiveTable, Progress } from '../../src/archive-output.ts';
import type { Archive } from '../../src/store/archive-index.ts';
import { startMs, topic } from '../contract/entries.ts';

const archive: Archive = {
  ...{
    topic: topic('chat:a'),
    firstOffset: 1,
    lastOffset: 2_000,
    fromMs: startMs,
    toMs: startMs + 86_400_000,
  },
  ...{ messageCount: 1_900, bytes: 150_000, sha256: 'ab', file: 'default/chat_a/x.ndjson.gz' },
};

test('a table lines up, and has a sum', () => {
  const other = { ...archive, topic: topic('b', 'acme'), messageCount: 7, bytes: 900 };
  assert.equal(
    archiveTable([archive, other]),
    [
      'TOPIC   FIRST  LAST  FROM        TO          MESSAGES   SIZE',
      'chat:a      1  2000  2026-01-01  2026-01-02      1900  147kb',
      'acme|b      1  2000  2026-01-01  2026-01-02         7   900b',
      'TOTAL                                            1907  148kb',
      '',
    ].join('\n'),
  );
  assert.equal(archiveTable([]), 'No archives.\n');
});

test('for programs it is a line of JSON for each', () => {
  assert.deepEqual(JSON.parse(archiveLines([archive])), {
    ...{
      tenant: 'default',
      topic: 'chat:a',
      from: '2026-01-01T00:00:00.000Z',
      to: '2026-01-02T00:00:00.000Z',
    },
    ...{ firstOffset: 1, lastOffset: 2_000, messageCount: 1_900, bytes: 150_000, sha256: 'ab' },
    file: 'default/chat_a/x.ndjson.gz',
  });
});

function shown(isTTY: boolean): string {
  let [text, nowMs] = ['', 0];
  const progress = new Progress(
    'restoring chat:a',
    4_000,
    { isTTY, write: (more) => (text += more) },
    () => nowMs,
  );
  for (const done of [0, 1_000, 2_000, 3_000]) {
    progress.show(done);
    nowMs += 1_500;
  }
  progress.end(4_000);
  return text;
}

test('on a terminal progress is a bar that is drawn over itself', () => {
  const frames = shown(true).split('\r').slice(1);
  assert.equal(frames.length, 5);
  assert.equal(
    frames[2],
    `${'█'.repeat(15)}${'░'.repeat(15)}  50 %  restoring chat:a: 2,000 of 4,000 entries\u001b[K`,
  );
  assert.match(frames[4]!, /^█{30} 100 % .*\n$/);
});

test('elsewhere it is a line now and then', () => {
  assert.equal(
    shown(false),
    [
      ...[0, '2,000'].map((done) => `restoring chat:a: ${done} of 4,000 entries`),
      'restoring chat:a: 4,000 of 4,000 entries, done',
      '',
    ].join('\n'),
  );
});
