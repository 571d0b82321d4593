/** The page that Prometheus scrapes, read by a strict reader of its format. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type MetricDefinition, metricDefinitions } from '../../../src/observe/metric-definitions.ts';
import { createMetricsPage } from '../../../src/observe/metrics-page.ts';
import { allocateMetrics, MetricsRow } from '../../../src/observe/metrics-table.ts';
import { parsePage } from './prometheus-text.ts';

const shardCount = 2;

function open() {
  const shared = allocateMetrics(shardCount + 1);
  const rows = Array.from({ length: shardCount + 1 }, (_, row) => new MetricsRow(shared, row));
  const page = createMetricsPage(shared, shardCount);
  return { rows, page, read: async () => parsePage(await page.render()) };
}

test('every metric is on the page with its type and help, from the first moment', async () => {
  const families = await open().read();
  for (const { name, kind, help } of Object.values(metricDefinitions) as MetricDefinition[]) {
    assert.deepEqual([families.get(name)?.type, families.get(name)?.help], [kind, help], name);
  }
});

test('the names that dashboards of the original service ask for are there', async () => {
  const families = await open().read();
  const types = {
    websocket_connections_active: 'gauge',
    websocket_messages_per_second: 'gauge',
    websocket_messages_total: 'counter',
    actor_mailbox_size: 'gauge',
    circuit_breaker_state: 'gauge',
  };
  for (const [name, type] of Object.entries(types)) {
    assert.equal(families.get(name)?.type, type, name);
    assert.notEqual(families.get(name)?.help, '', name);
  }
});

test('counters end in _total, and no gauge does', () => {
  for (const { name, kind } of Object.values(metricDefinitions) as MetricDefinition[]) {
    assert.equal(name.endsWith('_total'), kind === 'counter', name);
  }
});

test('names are unique', () => {
  const names = Object.values(metricDefinitions).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

test('what all threads counted is one sum, the thread without a shard included', async () => {
  const { rows, read } = open();
  rows[0]!.addTo('messages', 'in', 2);
  rows[1]!.addTo('messages', 'in', 3);
  rows[1]!.addTo('messages', 'out', 4);
  rows[shardCount]!.add('logLinesDropped', 7);
  const families = await read();
  assert.deepEqual(families.get('websocket_messages_total')?.samples, [
    { name: 'websocket_messages_total', labels: { direction: 'in' }, value: 5 },
    { name: 'websocket_messages_total', labels: { direction: 'out' }, value: 4 },
  ]);
  assert.equal(families.get('log_lines_dropped_total')?.samples[0]?.value, 7);
});

test('a metric per shard has one series for each shard and none for the primary', async () => {
  const { rows, read } = open();
  rows[1]!.set('shardUp', 1);
  rows[shardCount]!.set('shardUp', 1);
  assert.deepEqual((await read()).get('shard_up')?.samples, [
    { name: 'shard_up', labels: { shard: '0' }, value: 0 },
    { name: 'shard_up', labels: { shard: '1' }, value: 1 },
  ]);
});

test('asking twice does not count twice, and a gauge may fall', async () => {
  const { rows, read } = open();
  rows[0]!.add('connectionsTotal', 3);
  rows[0]!.set('connectionsActive', 3);
  await read();
  rows[0]!.set('connectionsActive', 1);
  const families = await read();
  assert.equal(families.get('websocket_connections_total')?.samples[0]?.value, 3);
  assert.equal(families.get('websocket_connections_active')?.samples[0]?.value, 1);
});

test('buckets of a histogram are cumulative and end with the count', async () => {
  const { rows, read } = open();
  for (const value of [0.00005, 0.0003, 0.0003, 0.02, 7]) rows[0]!.observe('ringDelay', value);
  rows[1]!.observe('ringDelay', 0.0001);
  const samples = (await read()).get('ring_delay_seconds')?.samples ?? [];
  const buckets = samples.filter(({ name }) => name === 'ring_delay_seconds_bucket');
  const bounds = buckets.map(({ labels }) => labels['le']);
  assert.deepEqual(bounds, [...metricDefinitions.ringDelay.buckets.map(String), '+Inf']);
  const counts = buckets.map(({ value }) => value);
  assert.deepEqual(
    counts,
    counts.toSorted((a, b) => a - b),
  );
  const at = (le: string) => buckets.find(({ labels }) => labels['le'] === le)?.value;
  assert.deepEqual([at('0.0001'), at('0.0005'), at('0.025'), at('1'), at('+Inf')], [2, 4, 5, 5, 6]);
  const [sum, count] = ['_sum', '_count'].map((suffix) =>
    samples.find(({ name }) => name === `ring_delay_seconds${suffix}`),
  );
  assert.ok(Math.abs(sum!.value - 7.02075) < 1e-9, String(sum!.value));
  assert.equal(count!.value, 6);
});

test('the process tells its memory, CPU time and start', async () => {
  const families = await open().read();
  for (const name of ['process_resident_memory_bytes', 'process_cpu_seconds', 'process_start_time_seconds']) {
    assert.ok((families.get(name)?.samples[0]?.value ?? 0) > 0, name);
  }
});

test('the page says what it is', () => {
  assert.match(open().page.contentType, /^text\/plain; version=0\.0\.4/);
});
