/** Reads GET /metrics of a test server. */
import { eventually } from './eventually.ts';

/**
 * The value of one series, `name` or `name{label="value"}` as Prometheus prints it; 0 when absent.
 * Asks again when the connection breaks: it may have been on the shard that the test has just broken.
 */
export async function metricOf(url: string, series: string): Promise<number> {
  const page = (await eventually('the metrics page', () => pageOf(url))) as string;
  const line = page.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}

async function pageOf(url: string): Promise<string | undefined> {
  try {
    return await (await fetch(`http://${url}/metrics`)).text();
  } catch {
    return undefined;
  }
}
