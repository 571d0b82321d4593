/** Reads GET /metrics of a test server. */

/** The value of one series, `name` or `name{label="value"}` as Prometheus prints it; 0 when absent. */
export async function metricOf(url: string, series: string): Promise<number> {
  const page = await (await fetch(`http://${url}/metrics`)).text();
  const line = page.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}
