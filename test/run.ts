/**
 * `npm test`: everything that must hold before a change lands, in the order of what fails fastest.
 * `npm run check` stops before the tests. Each step says what it is and how long it took; the first failure ends the run.
 * Files in which a test failed are run once more, by themselves: threads, sockets and a busy machine have their moments. What
 * passes then is named at the end, and is a test, or a race in the server, that somebody has to mend.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const coverageDir = join(root, 'coverage');
const lineCoverageMin = 90;
const tool = (name: string) => join(root, 'node_modules', '.bin', name);

interface Step {
  name: string;
  command: string;
  args: string[];
  env?: Record<string, string>;
}

const checks: Step[] = [
  { name: 'format and lint (biome)', command: tool('biome'), args: ['check', '--error-on-warnings'] },
  {
    name: 'lint with types (oxlint)',
    command: tool('oxlint'),
    args: ['--type-aware', '--deny-warnings', 'src', 'proto', 'workers', 'scripts', 'test', 'bench'],
  },
  { name: 'types (tsc)', command: tool('tsc'), args: ['-p', '.'] },
  { name: 'nothing unused (knip)', command: tool('knip'), args: ['--no-progress'] },
  {
    name: 'generated files are current',
    command: process.execPath,
    args: ['scripts/generate.ts', '--check'],
  },
];

const allTestFiles = globSync('test/**/*.test.ts', { cwd: root }).sort();
const isChaos = (path: string) => path.startsWith(join('test', 'chaos'));
const testFiles = allTestFiles.filter((path) => !isChaos(path));
const chaosFiles = allTestFiles.filter(isChaos);
/** More files with failures are no chance. */
const unsteadyMax = 2;

/** c8 reads what V8 wrote for every process and thread of the tests. */
const coverage: Step = {
  name: `line coverage of src, workers and proto is at least ${lineCoverageMin} %`,
  command: tool('c8'),
  args: [
    ...['report', '--temp-directory', coverageDir, '--reporter', 'text', '--all'],
    ...['src/**', 'workers/**', 'proto/**'].flatMap((pattern) => ['--include', pattern]),
    ...[
      '--check-coverage',
      '--lines',
      String(lineCoverageMin),
      '--functions',
      '0',
      '--branches',
      '0',
      '--statements',
      '0',
    ],
  ],
};

const failedList = join(mkdtempSync(join(tmpdir(), 'carillon-test-')), 'failed');
const unsteady: string[] = [];
process.on('exit', () => {
  if (unsteady.length > 0) console.error(`\n⚠ failed once, and passed once more: ${unsteady.join(', ')}`);
});

/** One file after the other: integration tests count descriptors and measure nothing else's load. */
function testStep(name: string, files: string[]): Step {
  return {
    name: `${name} (${files.length} files)`,
    command: process.execPath,
    args: [
      ...['--test', '--test-concurrency=1'],
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...['--test-reporter=./test/kit/failed-files.ts', `--test-reporter-destination=${failedList}`],
      ...files,
    ],
    env: { NODE_V8_COVERAGE: coverageDir },
  };
}

function runTests(name: string, files: string[]): void {
  if (hasPassed(testStep(name, files))) return;
  const failed = readFileSync(failedList, 'utf8').split('\n').filter(Boolean);
  const names = failed.map((path) => relative(root, path));
  const isRunnable = names.every((path) => files.includes(path));
  if (!isRunnable || failed.length === 0 || failed.length > unsteadyMax) process.exit(1);
  console.error(`\n↻ once more: ${names.join(', ')}`);
  run(testStep(`${name}, once more`, names));
  unsteady.push(...names);
}

function run(step: Step): void {
  if (!hasPassed(step)) process.exit(1);
}

function hasPassed({ name, command, args, env = {} }: Step): boolean {
  console.log(`\n▶ ${name}`);
  const startedMs = performance.now();
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (status === 0) console.log(`✔ ${name} (${seconds} s)`);
  else console.error(`\n✖ ${name} failed after ${seconds} s${error ? `: ${error.message}` : ''}`);
  return status === 0;
}

for (const step of checks) run(step);
if (process.argv[2] !== 'check') {
  rmSync(coverageDir, { recursive: true, force: true });
  runTests('tests', testFiles);
  // Processes killed, threads killed, databases stopped: minutes, and so last.
  runTests('chaos', chaosFiles);
  run(coverage);
  console.log('\nAll is well.');
}
