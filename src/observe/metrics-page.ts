/**
 * The Prometheus page: prom-client renders what all threads wrote into the table.
 * Thread: any that is asked; process metrics are read where it runs, they are the same in every thread.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { type MetricDefinition, type MetricName, metricDefinitions } from './metric-definitions.ts';
import { MetricsTable } from './metrics-table.ts';

export interface MetricsPage {
  contentType: string;
  render(): Promise<string>;
}

/** `shardCount` rows are shards; further rows (the primary) count in the sums only. */
export function createMetricsPage(shared: SharedArrayBuffer, shardCount: number): MetricsPage {
  const table = new MetricsTable(shared);
  const registry = new Registry();
  for (const [name, definition] of Object.entries(metricDefinitions) as [MetricName, MetricDefinition][]) {
    if (definition.kind === 'histogram') registerHistogram(registry, table, name, definition);
    else registerValue(registry, table, name, definition, shardCount);
  }
  registerProcess(registry);
  return { contentType: registry.contentType, render: () => registry.metrics() };
}

function registerValue(
  registry: Registry,
  table: MetricsTable,
  name: MetricName,
  definition: MetricDefinition,
  shardCount: number,
): void {
  const labelName = definition.isPerShard ? 'shard' : definition.label?.name;
  const options = {
    name: definition.name,
    help: definition.help,
    labelNames: labelName === undefined ? [] : [labelName],
    registers: [registry],
    collect() {
      metric.reset();
      for (const [label, value] of seriesOf(table, name, definition, shardCount)) {
        if (labelName === undefined) metric.inc(value);
        else metric.inc({ [labelName]: label }, value);
      }
    },
  };
  const metric = definition.kind === 'counter' ? new Counter(options) : new Gauge(options);
}

function seriesOf(
  table: MetricsTable,
  name: MetricName,
  definition: MetricDefinition,
  shardCount: number,
): [label: string, value: number][] {
  if (definition.isPerShard) {
    return Array.from({ length: shardCount }, (_, shard) => [String(shard), table.row(name, shard)[0] ?? 0]);
  }
  const values = table.sum(name);
  if (!definition.label) return [['', values[0] ?? 0]];
  return definition.label.values.map((label, index) => [label, values[index] ?? 0]);
}

/** prom-client's Histogram has no way to set its buckets, so the page's lines are made here, in its shape. */
function registerHistogram(
  registry: Registry,
  table: MetricsTable,
  name: MetricName,
  definition: MetricDefinition,
): void {
  const bounds = [...(definition.buckets ?? []), '+Inf'];
  const metric = {
    name: definition.name,
    help: definition.help,
    type: 'histogram',
    aggregator: 'sum',
    async get() {
      const cells = table.sum(name);
      let count = 0;
      const buckets = bounds.map((le, index) => {
        count += cells[index] ?? 0;
        return { metricName: `${definition.name}_bucket`, labels: { le }, value: count };
      });
      const totals = [
        { metricName: `${definition.name}_sum`, labels: {}, value: cells.at(-1) ?? 0 },
        { metricName: `${definition.name}_count`, labels: {}, value: count },
      ];
      return { ...metric, values: [...buckets, ...totals] };
    },
  };
  registry.registerMetric(metric as never);
}

/** Only what is the same from every thread of the process. */
function registerProcess(registry: Registry): void {
  const values: [name: string, help: string, read: () => number][] = [
    ['process_resident_memory_bytes', 'Resident memory of the process', () => process.memoryUsage.rss()],
    ['process_cpu_seconds', 'CPU time of the process, user and system', () => cpuSeconds()],
    [
      'process_start_time_seconds',
      'Start of the process since the epoch',
      () => Math.round(performance.timeOrigin / 1000),
    ],
  ];
  for (const [name, help, read] of values) {
    const metric: Gauge = new Gauge({ name, help, registers: [registry], collect: () => metric.set(read()) });
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
