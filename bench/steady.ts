/** Others, who are timed while something else happens to the server: what it costs them is the question. */
import { freshAddress } from './fresh-address.ts';
import type {
  SteadyAudience,
  SteadyLap,
  SteadyOrder,
  SteadyReply,
  SteadyReport,
} from './load/steady-load.ts';
import { LoadProcess } from './load-process.ts';
import type { Row } from './scenario.ts';

export class Steady {
  readonly #load = new LoadProcess<SteadyOrder, SteadyReply>('steady-load.ts');

  /** Its messages flow until `stop`. */
  async start(audience: Omit<SteadyAudience, 'localAddress'>): Promise<void> {
    await this.#load.order({ do: 'start', audience: { ...audience, localAddress: freshAddress() } });
  }

  /** How it was since the last lap. */
  async lap(): Promise<SteadyLap> {
    return ((await this.#load.order({ do: 'lap' })) as { lap: SteadyLap }).lap;
  }

  async stop(): Promise<SteadyReport> {
    return ((await this.#load.order({ do: 'stop' })) as { stopped: SteadyReport }).stopped;
  }

  end(): void {
    this.#load.end();
  }
}

/** How the others fared: their p99 beside what it was before. */
export function othersRow(
  setting: string,
  { before, during, report }: { before: SteadyLap; during: SteadyLap; report: SteadyReport },
  atMost?: number,
): Row {
  const row = { setting, server: 'carillon', unit: 'ms p99' };
  const { delivered, expected, closedCount } = report;
  if (delivered !== expected || closedCount > 0) {
    const note = `${delivered} of ${expected} messages were delivered; ${closedCount} connections were closed`;
    return { ...row, state: 'void', value: Number.NaN, note };
  }
  const ratio = { against: 'before', ratio: during.p99Ms / before.p99Ms };
  return {
    ...{ ...row, state: 'measured', value: during.p99Ms },
    ratios: [atMost === undefined ? ratio : { ...ratio, atMost }],
    note: `before p50 ${before.p50Ms.toFixed(1)}, p99 ${before.p99Ms.toFixed(1)}; then p50 ${during.p50Ms.toFixed(1)}, longest ${during.maxMs.toFixed(1)}; the load fell behind by up to ${during.lateMaxMs.toFixed(0)} ms`,
  };
}
