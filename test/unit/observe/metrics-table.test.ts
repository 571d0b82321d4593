/** Counters of all threads in shared memory: a row each, summed by whoever reads. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  type MetricDefinition,
  type MetricName,
  metricDefinitions,
} from '../../../src/observe/metric-definitions.ts';
import { allocateMetrics, MetricsRow, MetricsTable } from '../../../src/observe/metrics-table.ts';

const definitions = Object.entries(metricDefinitions) as [MetricName, MetricDefinition][];
const bounds = metricDefinitions.ringDelay.buckets;

const zeros = (count: number) => Array.from({ length: count }, () => 0);

function open(rowCount: number) {
  const shared = allocateMetrics(rowCount);
  const rows = Array.from({ length: rowCount }, (_, row) => new MetricsRow(shared, row));
  return { shared, rows, table: new MetricsTable(shared) };
}

test('fresh memory is all zero, with a cell for every series', () => {
  const { table } = open(3);
  assert.equal(table.rowCount, 3);
  for (const [name, { label, buckets }] of definitions) {
    const cells = buckets ? buckets.length + 2 : (label?.values.length ?? 1);
    assert.deepEqual(table.sum(name), zeros(cells), name);
  }
});

test('rows count apart and are summed together', () => {
  const { rows, table } = open(3);
  rows[0]!.add('connectionsTotal');
  rows[1]!.add('connectionsTotal', 5);
  rows[2]!.set('outboxBytes', 7);
  assert.deepEqual(
    [0, 1, 2].map((row) => table.row('connectionsTotal', row)),
    [[1], [5], [0]],
  );
  assert.deepEqual(table.sum('connectionsTotal'), [6]);
  assert.deepEqual(table.sum('outboxBytes'), [7]);
  assert.equal(rows[1]!.get('connectionsTotal'), 5);
});

test('labels count apart, in the order of their definition', () => {
  const { rows, table } = open(2);
  rows[0]!.addTo('messages', 'in', 3);
  rows[1]!.addTo('messages', 'out');
  rows[1]!.setOf('actors', 'user', 9);
  assert.deepEqual(table.sum('messages'), [3, 1]);
  assert.deepEqual(table.sum('actors'), [0, 0, 9]);
  assert.equal(rows[0]!.getOf('messages', 'in'), 3);
  assert.equal(rows[0]!.getOf('messages', 'out'), 0);
});

test('no two series share a cell, in one row or in two', () => {
  const { rows, table } = open(2);
  let next = 1;
  const expected: [MetricName, number, number[]][] = [];
  for (const [row, writer] of rows.entries()) {
    for (const [name, { label, buckets }] of definitions) {
      if (buckets) continue;
      const labels = label?.values ?? [undefined];
      const values = labels.map(() => next++);
      for (const [index, value] of labels.entries()) {
        if (value === undefined) writer.set(name, values[index]!);
        else writer.setOf(name, value as never, values[index]!);
      }
      expected.push([name, row, values]);
    }
  }
  for (const [name, row, values] of expected)
    assert.deepEqual(table.row(name, row), values, `${name} of row ${row}`);
  assert.deepEqual(table.sum('ringDelay'), zeros(bounds.length + 2));
});

test('a value falls into the first bucket whose bound it does not pass, or behind the last', () => {
  const { rows, table } = open(1);
  for (const bound of bounds) rows[0]!.observe('ringDelay', bound);
  assert.deepEqual(table.sum('ringDelay').slice(0, -1), [...bounds.map(() => 1), 0]);
  rows[0]!.observe('ringDelay', bounds.at(-1)! * 1.001);
  rows[0]!.observe('ringDelay', 0);
  rows[0]!.observe('ringDelay', bounds[1]! * 0.999);
  const cells = table.sum('ringDelay');
  assert.deepEqual([cells[0], cells[1], cells.at(-2)], [2, 2, 1]);
});

test('the last cell of a histogram is the sum of its values', () => {
  const { rows, table } = open(2);
  rows[0]!.observe('ringDelay', 0.25);
  rows[1]!.observe('ringDelay', 2.5);
  assert.equal(table.sum('ringDelay').at(-1), 2.75);
});

test('when a thread is dead its gauges are cleared and its counters and histograms kept', () => {
  const { rows, table } = open(2);
  for (const row of rows) {
    row.set('connectionsActive', 4);
    row.setOf('mailboxSize', 'topic', 2);
    row.set('shardUp', 1);
    row.add('connectionsTotal', 10);
    row.addTo('closes', 'other', 3);
    row.observe('ringDelay', 0.5);
  }
  rows[0]!.clearGauges();
  for (const name of ['connectionsActive', 'shardUp'] as const) {
    assert.deepEqual([table.row(name, 0), table.row(name, 1)], [[0], name === 'shardUp' ? [1] : [4]], name);
  }
  assert.deepEqual(
    [table.row('mailboxSize', 0), table.row('mailboxSize', 1)],
    [
      [0, 0],
      [0, 2],
    ],
  );
  assert.deepEqual(table.sum('connectionsTotal'), [20]);
  assert.equal(table.sum('closes').at(-1), 6);
  assert.equal(table.sum('ringDelay').at(-1), 1);
});

test('a successor goes on counting where the dead thread stopped', () => {
  const { shared, rows, table } = open(1);
  rows[0]!.add('flushes', 41);
  new MetricsRow(shared, 0).add('flushes');
  assert.deepEqual(table.sum('flushes'), [42]);
});

test('what another thread counts is seen here', async () => {
  const { shared, table } = open(2);
  const module = new URL('../../../src/observe/metrics-table.ts', import.meta.url).href;
  const code = `
    import { workerData } from 'node:worker_threads';
    import { MetricsRow } from ${JSON.stringify(module)};
    new MetricsRow(workerData, 1).add('writes', 12);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: shared,
  });
  await new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
  assert.deepEqual(table.row('writes', 1), [12]);
  assert.deepEqual(table.sum('writes'), [12]);
});
