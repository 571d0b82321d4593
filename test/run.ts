/**
 * `npm test`: everything that must hold before a change lands, in the order of what fails fastest.
 * `npm run check` stops before the tests. Each step says what it is and how long it took; the first failure ends the run.
 */
import { spawnSync } from 'node:child_process';
import { globSync, rmSync } from 'node:fs';
import { join } from 'node:path';

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
const tests: Step = {
  name: `tests (${testFiles.length} files)`,
  command: process.execPath,
  // One file after the other: integration tests count descriptors and measure nothing else's load.
  args: ['--test', '--test-concurrency=1', '--test-reporter=spec', ...testFiles],
  env: { NODE_V8_COVERAGE: coverageDir },
};

/** Processes killed, threads killed, databases stopped: minutes, and so last. */
const chaos: Step = {
  ...tests,
  name: `chaos (${chaosFiles.length} files)`,
  args: ['--test', '--test-concurrency=1', '--test-reporter=spec', ...chaosFiles],
};

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

function run({ name, command, args, env = {} }: Step): void {
  console.log(`\n▶ ${name}`);
  const startedMs = performance.now();
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (status === 0) return console.log(`✔ ${name} (${seconds} s)`);
  console.error(`\n✖ ${name} failed after ${seconds} s${error ? `: ${error.message}` : ''}`);
  process.exit(1);
}

for (const step of checks) run(step);
if (process.argv[2] !== 'check') {
  rmSync(coverageDir, { recursive: true, force: true });
  run(tests);
  run(chaos);
  run(coverage);
  console.log('\nAll is well.');
}
