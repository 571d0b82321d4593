/** Rows → lines on the terminal, RESULTS.md and results.json. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import { isMet, type Ratio, type Row, type Scenario } from './scenario.ts';

export interface Result {
  scenario: Scenario;
  rows: Row[];
}

export function lineOf(row: Row): string {
  const ratios = (row.ratios ?? []).map((ratio) => `  ${ratioText(ratio, 'MISSED')}`).join(' ');
  const note = row.note ? `  ${row.note}` : '';
  return `${row.setting.padEnd(46)} ${row.server.padEnd(20)} ${figureOf(row).padEnd(26)}${ratios}${note}`;
}

/** How many bounds were met, and which were not. */
export function verdictOf(results: Result[]): string {
  const judged = results.flatMap(({ scenario, rows }) =>
    rows.flatMap((row) =>
      (row.ratios ?? [])
        .filter((ratio) => isMet(ratio) !== undefined)
        .map((ratio) => ({ ratio, title: `${scenario.name}, ${row.setting}, ${row.server}` })),
    ),
  );
  const missed = judged.filter(({ ratio }) => isMet(ratio) === false);
  return [
    `${judged.length - missed.length} of ${judged.length} ratios are met`,
    ...missed.map(({ ratio, title }) => `  ${title}: ${ratioText(ratio, 'MISSED')}`),
  ].join('\n');
}

/** `complaint`: why the figures are not to be trusted. */
export function writeResults(machine: Machine, results: Result[], complaint: string | undefined): void {
  const { date, description, peers } = machine;
  const text = [
    '# Results',
    '',
    '`npm run bench` wrote this file. Client and server ran on the same cores; ratios are of one run.',
    '',
    `- Date: ${date}`,
    `- Machine: ${description}`,
    `- Peers: ${peers}`,
    ...(complaint === undefined ? [] : ['', `**Marked:** measured although ${complaint}.`]),
    '',
    ...results.flatMap(sectionOf),
  ].join('\n');
  writeFileSync(join(import.meta.dirname, 'RESULTS.md'), text);
  const json = {
    ...machine,
    complaint,
    results: results.map(({ scenario: { name, question }, rows }) => ({ scenario: name, question, rows })),
  };
  writeFileSync(join(import.meta.dirname, 'results.json'), `${JSON.stringify(json, null, 2)}\n`);
}

function sectionOf({ scenario, rows }: Result): string[] {
  return [
    `## ${scenario.name}`,
    '',
    scenario.question,
    '',
    '| setting | server | value | ratio | note |',
    '|---|---|---|---|---|',
    ...rows.map((row) => {
      const ratios = (row.ratios ?? []).map((ratio) => ratioText(ratio, '**missed**')).join('<br>');
      return `| ${row.setting} | ${row.server} | ${figureOf(row)} | ${ratios} | ${row.note ?? ''} |`;
    }),
    '',
  ];
}

function figureOf({ state, value, unit }: Row): string {
  if (state !== 'measured') return state.toUpperCase();
  return `${value >= 1000 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`;
}

function ratioText(ratio: Ratio, missed: string): string {
  const { against, atMost, atLeast } = ratio;
  const bound =
    atMost !== undefined ? `at most ${atMost}` : atLeast !== undefined ? `at least ${atLeast}` : '';
  const verdict = isMet(ratio) === false ? missed : 'met';
  const factor = ratio.ratio < 1 ? ratio.ratio.toPrecision(2) : ratio.ratio.toFixed(2);
  return `${factor} x ${against}${bound === '' ? '' : ` (${bound}: ${verdict})`}`;
}
