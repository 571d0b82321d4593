/** The benches still work: every scenario, as short as it can be, delivers all that it sends. No figure is asserted. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');

test('every bench delivers what it sends, and answers its question with rows', async () => {
  // Rejects, with what it printed, when the bench exits with anything but 0: a message was lost.
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/run.ts', '--smoke'], { cwd: root });
  const sections = stdout.split('\n\n');
  const files = globSync('bench/*.bench.ts', { cwd: root });
  assert.ok(files.length >= 10);
  for (const file of files) {
    const question = /^\/\*\* (.*\?) \*\/\n/.exec(readFileSync(join(root, file), 'utf8'))?.[1];
    assert.ok(question !== undefined, `${file} states its question in its first line`);
    const section = sections.find((text) => text.trim().split('\n')[0]?.endsWith(`: ${question}`));
    assert.ok(section !== undefined, `${file} ran:\n${stdout}`);
    const rows = section.trim().split('\n').slice(1);
    assert.ok(rows.length > 0 && rows.every((row) => /\d/.test(row)), `${file} has rows:\n${section}`);
  }
});
