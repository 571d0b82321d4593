/** What a scenario is: a question, and rows that answer it. run.ts runs them, results.ts prints and writes the rows. */
export interface Row {
  /** What was measured: rate, size, count. */
  setting: string;
  server: string;
  /** `void`: messages were lost, so that the figure means nothing. `skipped`: it cannot run on this machine. */
  state: 'measured' | 'void' | 'skipped';
  /** The figure that is compared; NaN unless measured. */
  value: number;
  unit: string;
  ratios?: Ratio[];
  note?: string;
}

/** Of the `value`s of two rows of this run. Without a bound it is told and not judged. */
export interface Ratio extends Bound {
  against: string;
  ratio: number;
}

export interface Bound {
  atMost?: number;
  atLeast?: number;
}

/** A bound on `server`'s value, as a ratio to that of `against`. */
export interface Comparison extends Bound {
  server: string;
  against: string;
}

/** What a scenario is given by whoever runs it. */
export interface Bench {
  /** As short as it can be, ours only, to see that everything arrives; the figures mean nothing. */
  isSmoke: boolean;
  /** What is going on, for whoever waits. */
  progress(text: string): void;
  /** Rows that are final. */
  rows(rows: Row[]): void;
}

export interface Scenario {
  name: string;
  question: string;
  run(bench: Bench): Promise<void>;
}

/** Fills in the ratios of `rows` of one setting. */
export function compare(rows: Row[], comparisons: Comparison[]): void {
  for (const { server, against, ...bound } of comparisons) {
    const [ours, theirs] = [server, against].map((name) =>
      rows.find((row) => row.server === name && row.state === 'measured'),
    );
    if (ours === undefined || theirs === undefined || theirs.value === 0) continue;
    ours.ratios = [...(ours.ratios ?? []), { against, ratio: ours.value / theirs.value, ...bound }];
  }
}

/** Undefined where nothing is demanded. */
export function isMet({ ratio, atMost, atLeast }: Ratio): boolean | undefined {
  if (atMost === undefined && atLeast === undefined) return undefined;
  return ratio <= (atMost ?? Number.POSITIVE_INFINITY) && ratio >= (atLeast ?? 0);
}
