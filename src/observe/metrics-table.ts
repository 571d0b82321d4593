/**
 * The counters of all threads in one piece of shared memory: a row per thread, a cell per series.
 * Each row has one writer (its shard, or the primary); every thread may read all rows. Rows outlive their thread: a shard
 * that restarts goes on counting where its predecessor stopped, so counters never fall.
 * Plain float64 stores, no Atomics: a cell has one writer, and aligned 64-bit stores do not tear on our platforms.
 */
import { type MetricDefinition, type MetricName, metricDefinitions } from './metric-definitions.ts';

interface CellRange {
  first: number;
  count: number;
}

const ranges = layOutCells();
const cellsPerRow = Object.values(ranges).reduce((sum, range) => sum + range.count, 0);

/** A histogram takes a cell per bucket, one for what is larger, one for the sum. */
function layOutCells(): Record<MetricName, CellRange> {
  let next = 0;
  const entries = Object.entries(metricDefinitions).map(([name, definition]: [string, MetricDefinition]) => {
    const count = definition.buckets
      ? definition.buckets.length + 2
      : definition.label
        ? definition.label.values.length
        : 1;
    const range = { first: next, count };
    next += count;
    return [name, range];
  });
  return Object.fromEntries(entries) as Record<MetricName, CellRange>;
}

/** Fresh memory for `rowCount` threads, all zero. */
export function allocateMetrics(rowCount: number): SharedArrayBuffer {
  return new SharedArrayBuffer(rowCount * cellsPerRow * 8);
}

/** The labelled series of a metric, by label value. */
type LabelOf<Name extends MetricName> = (typeof metricDefinitions)[Name] extends {
  label: { values: readonly (infer Value)[] };
}
  ? Value & string
  : never;

/** One thread's row, for writing. Cheap: an array store each. */
export class MetricsRow {
  readonly #cells: Float64Array;

  constructor(shared: SharedArrayBuffer, row: number) {
    this.#cells = new Float64Array(shared, row * cellsPerRow * 8, cellsPerRow);
  }

  add(name: MetricName, amount = 1): void {
    this.#cells[ranges[name].first]! += amount;
  }

  addTo<Name extends MetricName>(name: Name, label: LabelOf<Name>, amount = 1): void {
    this.#cells[cellOf(name, label)]! += amount;
  }

  set(name: MetricName, value: number): void {
    this.#cells[ranges[name].first] = value;
  }

  setOf<Name extends MetricName>(name: Name, label: LabelOf<Name>, value: number): void {
    this.#cells[cellOf(name, label)] = value;
  }

  get(name: MetricName): number {
    return this.#cells[ranges[name].first]!;
  }

  getOf<Name extends MetricName>(name: Name, label: LabelOf<Name>): number {
    return this.#cells[cellOf(name, label)]!;
  }

  /** A value into a histogram. */
  observe(name: MetricName, value: number): void {
    const { first, count } = ranges[name];
    const buckets = (metricDefinitions[name] as MetricDefinition).buckets as readonly number[];
    let bucket = 0;
    while (bucket < buckets.length && value > buckets[bucket]!) bucket++;
    this.#cells[first + bucket]! += 1;
    this.#cells[first + count - 1]! += value;
  }

  /** When the thread of this row is dead: what it had "now" is gone; what it counted stays. */
  clearGauges(): void {
    for (const [name, definition] of Object.entries(metricDefinitions) as [MetricName, MetricDefinition][]) {
      const { first, count } = ranges[name];
      if (definition.kind === 'gauge') this.#cells.fill(0, first, first + count);
    }
  }
}

/** All rows, for reading. */
export class MetricsTable {
  readonly #cells: Float64Array;
  readonly rowCount: number;

  constructor(shared: SharedArrayBuffer) {
    this.#cells = new Float64Array(shared);
    this.rowCount = this.#cells.length / cellsPerRow;
  }

  /** Values of a metric's series in one thread, in the order of its label values or buckets. */
  row(name: MetricName, row: number): number[] {
    const { first, count } = ranges[name];
    return [...this.#cells.subarray(row * cellsPerRow + first, row * cellsPerRow + first + count)];
  }

  /** The same, summed over all threads. */
  sum(name: MetricName): number[] {
    const totals: number[] = Array.from({ length: ranges[name].count }, () => 0);
    for (let row = 0; row < this.rowCount; row++) {
      for (const [index, value] of this.row(name, row).entries()) totals[index]! += value;
    }
    return totals;
  }
}

const labelCells = Object.fromEntries(
  Object.entries(metricDefinitions).map(([name, definition]: [string, MetricDefinition]) => {
    const values = definition.label?.values ?? [];
    return [
      name,
      Object.fromEntries(values.map((value, index) => [value, ranges[name as MetricName].first + index])),
    ];
  }),
) as Record<MetricName, Record<string, number>>;

function cellOf(name: MetricName, label: string): number {
  return labelCells[name][label] as number;
}
