/** What a scenario is: a question, and rows that answer it. run.ts prints and writes them. */
export interface Row {
  /** What was measured: rate, size, count. */
  setting: string;
  server: string;
  /** The figure that is compared. */
  value: number;
  unit: string;
  /** Against whom, as a ratio of `value`s of this run, and how much it may be at most. */
  against?: { server: string; ratio: number; atMost: number };
  note?: string;
}

export interface Scenario {
  name: string;
  question: string;
  /** `isSmoke`: as short as it can be, to see that it works; its figures mean nothing. */
  run(isSmoke: boolean, onRow: (row: Row) => void): Promise<Row[]>;
}

/** Fills in the ratios of `rows` of one setting. */
export function compare(rows: Row[], limits: { against: string; atMost: number }[]): void {
  const ours = rows.find((row) => row.server === 'carillon');
  for (const { against, atMost } of limits) {
    const peer = rows.find((row) => row.server === against);
    if (ours === undefined || peer === undefined || peer.value === 0) continue;
    ours.against = { server: against, ratio: ours.value / peer.value, atMost };
  }
}
