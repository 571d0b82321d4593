/**
 * `npm run bench`: ours and the peers in one run on one machine. Prints rows as they come, writes results.json and
 * RESULTS.md. `--smoke` runs every scenario as short as it can be; `npm run bench -- fan-out` one of them.
 */
import { parseArgs } from 'node:util';
import { acks } from './acks.bench.ts';
import { codec } from './codec.bench.ts';
import { connections } from './connections.bench.ts';
import { deflate } from './deflate.bench.ts';
import { direct } from './direct.bench.ts';
import { durable } from './durable.bench.ts';
import { encodings } from './encodings.bench.ts';
import { fanout } from './fanout.bench.ts';
import { flush } from './flush.bench.ts';
import { latency } from './latency.bench.ts';
import { machineComplaint, machineOf } from './machine.ts';
import { missingPeers } from './peers.ts';
import { presence } from './presence.bench.ts';
import { recovery } from './recovery.bench.ts';
import { lineOf, type Result, verdictOf, writeResults } from './results.ts';
import { resume } from './resume.bench.ts';
import { ring } from './ring.bench.ts';
import type { Scenario } from './scenario.ts';
import { shards } from './shards.bench.ts';
import { topics } from './topics.bench.ts';
import { typing } from './typing.bench.ts';

const scenarios = [
  fanout,
  topics,
  direct,
  durable,
  acks,
  recovery,
  presence,
  typing,
  resume,
  encodings,
  deflate,
  flush,
  shards,
  latency,
  connections,
  ring,
  codec,
];

const { values: flags, positionals } = parseArgs({
  options: { smoke: { type: 'boolean' }, force: { type: 'boolean' } },
  allowPositionals: true,
});
const isSmoke = flags.smoke === true;
const complaint = isSmoke ? undefined : (missingPeers() ?? machineComplaint());
if (complaint !== undefined && !flags.force)
  refuse(`${complaint} (--force measures anyway and marks the result)`);
const unknown = positionals.find((name) => !scenarios.some((scenario) => scenario.name === name));
if (unknown !== undefined)
  refuse(`there is no ${unknown}; allowed are ${scenarios.map(({ name }) => name).join(', ')}`);
// So that servers and loads end with it (servers.ts).
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

const chosen = scenarios.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const results: Result[] = [];
for (const scenario of chosen) results.push(await resultOf(scenario));
console.log(`\n${isSmoke ? 'a smoke: the figures mean nothing' : verdictOf(results)}`);
// A single scenario must not pass for the whole.
if (!isSmoke && positionals.length === 0) writeResults(machineOf(), results, complaint);
process.exit(results.every(isSound) ? 0 : 1);

async function resultOf(scenario: Scenario): Promise<Result> {
  const result: Result = { scenario, rows: [] };
  console.log(`\n${scenario.name}: ${scenario.question}`);
  await scenario.run({
    isSmoke,
    progress,
    rows(rows) {
      progress('');
      result.rows.push(...rows);
      for (const row of rows) console.log(`  ${lineOf(row)}`);
    },
  });
  return result;
}

/** One line that is written over, and only where somebody watches. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text === '' ? '' : `  ... ${text}`}`);
}

/** Everything arrived. */
function isSound({ rows }: Result): boolean {
  return rows.some((row) => row.state === 'measured') && rows.every((row) => row.state !== 'void');
}

function refuse(sentence: string): never {
  console.error(`bench: ${sentence}`);
  process.exit(1);
}
