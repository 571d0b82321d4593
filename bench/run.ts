/**
 * `npm run bench`: ours and the peers in one run on one machine. Prints rows as they come, writes results.json and
 * RESULTS.md. `--smoke` runs every scenario as short as it can be; `npm run bench -- fan-out` one of them.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { connections } from './connections.bench.ts';
import { fanout } from './fanout.bench.ts';
import type { Row, Scenario } from './scenario.ts';
import { missingPeers } from './servers.ts';

const scenarios: Scenario[] = [fanout, connections];
/** Above this the machine does something else, and every figure would lie. */
const loadMax = 0.7;
const descriptorsMin = 12_000;

const { values: flags, positionals } = parseArgs({
  options: { smoke: { type: 'boolean' }, force: { type: 'boolean' } },
  allowPositionals: true,
});
const isSmoke = flags.smoke === true;
const complaint = isSmoke ? undefined : (missingPeers() ?? machineComplaint());
if (complaint !== undefined && !flags.force) {
  console.error(`bench: ${complaint} (--force measures anyway and marks the result)`);
  process.exit(1);
}

const chosen = scenarios.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const results: { scenario: Scenario; rows: Row[] }[] = [];
for (const scenario of chosen) {
  console.log(`\n${scenario.name}: ${scenario.question}`);
  results.push({ scenario, rows: await scenario.run(isSmoke, (row) => console.log(`  ${lineOf(row)}`)) });
}
if (!isSmoke) writeResults();

function machineComplaint(): string | undefined {
  const load = loadavg()[0] as number;
  if (load > loadMax)
    return `the load average is ${load.toFixed(2)}; wait until the machine is quiet (below ${loadMax})`;
  const limit = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  if (limit !== 'unlimited' && Number(limit) < descriptorsMin)
    return `the descriptor limit is ${limit}; raise it: ulimit -Hn ${descriptorsMin}`;
  return undefined;
}

function lineOf({ setting, server, value, unit, against, note }: Row): string {
  const ratio = against
    ? `  ${against.ratio.toFixed(2)} x ${against.server} (at most ${against.atMost}: ${against.ratio <= against.atMost ? 'met' : 'MISSED'})`
    : '';
  return `${setting.padEnd(52)} ${server.padEnd(12)} ${value.toFixed(3).padStart(8)} ${unit}${ratio}${note ? `  ${note}` : ''}`;
}

function writeResults(): void {
  const machine = `${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 1024 ** 3)} GB, Node ${process.version}, Linux`;
  const date = new Date().toISOString().slice(0, 10);
  const { dependencies } = JSON.parse(
    readFileSync(join(import.meta.dirname, 'peers', 'package.json'), 'utf8'),
  ) as { dependencies: Record<string, string> };
  const peers = Object.entries(dependencies)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
  const marks = complaint === undefined ? [] : [`**Marked:** measured although ${complaint}.`, ''];
  const sections = results.flatMap(({ scenario, rows }) => [
    `## ${scenario.name}`,
    '',
    scenario.question,
    '',
    '| setting | server | value | ratio | note |',
    '|---|---|---|---|---|',
    ...rows.map(
      ({ setting, server, value, unit, against, note }) =>
        `| ${setting} | ${server} | ${value.toFixed(3)} ${unit} | ${against ? `${against.ratio.toFixed(2)} x ${against.server}, at most ${against.atMost}: ${against.ratio <= against.atMost ? 'met' : '**missed**'}` : ''} | ${note ?? ''} |`,
    ),
    '',
  ]);
  writeFileSync(
    join(import.meta.dirname, 'RESULTS.md'),
    [
      `# Results`,
      '',
      `${date}, ${machine}. Peers: ${peers}. One run; client and server on the same cores.`,
      '',
      ...marks,
      ...sections,
    ].join('\n'),
  );
  writeFileSync(
    join(import.meta.dirname, 'results.json'),
    `${JSON.stringify({ date, machine, complaint, results: results.map(({ scenario, rows }) => ({ scenario: scenario.name, rows })) }, null, 2)}\n`,
  );
}
