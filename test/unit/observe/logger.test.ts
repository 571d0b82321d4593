/** What the log says, what it hides, and that a reader who does not read stalls nobody. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { createLogger } from '../../../src/observe/logger.ts';

const settings = { logLevel: 'info', logFormat: 'json' as const, nodeId: 'node-1' };

function open(logLevel = 'info') {
  const lines: string[] = [];
  const log = createLogger({ ...settings, logLevel }, { write: (line) => void lines.push(line) }, 'shard 3');
  const last = () => JSON.parse(lines.at(-1) as string) as Record<string, unknown>;
  return { log, lines, last };
}

test('a line is JSON with time, level by name, node, thread, message and fields', () => {
  const { log, last } = open();
  log.warn({ shard: 3 }, 'it rains');
  const { time, ...rest } = last();
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, { level: 'warn', node: 'node-1', thread: 'shard 3', shard: 3, msg: 'it rains' });
});

test('what is less important than the level is not written', () => {
  const { log, lines } = open('warn');
  log.info('no');
  log.debug('no');
  log.error('yes');
  assert.equal(lines.length, 1);
});

test('tokens, credentials and cookies are hidden, at the top and one level below', () => {
  const { log, lines, last } = open();
  for (const name of ['token', 'authorization', 'cookie']) {
    log.info({ [name]: 'canary', request: { [name]: 'canary', path: '/ws' } }, 'request');
    assert.equal(last()[name], '(hidden)');
    assert.deepEqual(last()['request'], { [name]: '(hidden)', path: '/ws' });
  }
  assert.equal(lines.join('').includes('canary'), false);
});

test('text of users is data: it cannot end the line or add a field', () => {
  const { log, lines, last } = open();
  const hostile = 'x\n{"level":"fatal","msg":"forged"}\u001b[2J","level":"fatal';
  log.info({ user: hostile }, 'joined');
  assert.equal(lines.at(-1)!.indexOf('\n'), lines.at(-1)!.length - 1);
  assert.deepEqual([last()['user'], last()['level']], [hostile, 'info']);
});

test('an error is written with its message and stack', () => {
  const { log, last } = open();
  log.error({ err: new Error('broken') }, 'it failed');
  const { message, stack } = last()['err'] as { message: string; stack: string };
  assert.equal(message, 'broken');
  assert.match(stack, /logger\.test\.ts/);
});

/** A process that logs 64 MB to a destination of ours and says on the control channel how many lines were dropped. */
const flood = `
  import { openLogDestination } from ${JSON.stringify(new URL('../../../src/observe/log-destination.ts', import.meta.url).href)};
  const lines = openLogDestination({ logFormat: 'json' });
  let dropped = 0;
  lines.onDrop(() => dropped++);
  const line = '{"msg":"' + 'x'.repeat(1000) + '"}\\n';
  for (let count = 0; count < 64_000; count++) {
    lines.write(line);
    if (count % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  process.send({ dropped, residentBytes: process.memoryUsage.rss() });
  process.once('message', () => process.exit(0));`;

test('when nobody reads the log, lines are dropped and counted, and the process goes on', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', flood], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  child.stdout!.pause();
  const [report] = (await once(child, 'message')) as [{ dropped: number; residentBytes: number }];
  assert.ok(report.dropped > 50_000 && report.dropped < 64_000, `${report.dropped} dropped`);
  assert.ok(report.residentBytes < 256 * 1024 * 1024, `${report.residentBytes} bytes`);
  child.stdout!.resume();
  child.send('done');
  await once(child, 'exit');
});

test('a reader that goes away does not end the process', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', flood], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  child.stdout!.destroy();
  await once(child, 'message');
  child.send('done');
  assert.deepEqual((await once(child, 'exit'))[0], 0);
});

/** A process that has more to say than a pipe holds, and then says its last words. */
const lastWords = `
  import { openLogDestination } from ${JSON.stringify(new URL('../../../src/observe/log-destination.ts', import.meta.url).href)};
  const lines = openLogDestination({ logFormat: 'json' });
  for (let count = 0; count < 500; count++) lines.write('{"msg":"' + 'x'.repeat(1000) + '"}\\n');
  await new Promise((resolve) => setTimeout(resolve, 100));
  process.send('ending');
  await lines.flush();
  process.exit(0);`;

test('when nobody reads the log, the end of the process does not wait for it', async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', lastWords], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  t.after(() => void child.kill('SIGKILL'));
  child.stdout!.pause();
  await once(child, 'message');
  const ended = once(child, 'exit', { signal: AbortSignal.timeout(60_000) });
  assert.deepEqual((await ended)[0], 0);
});
