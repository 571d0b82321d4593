/** One clock for all processes of the load: the machine's monotonic clock, read cheaply. */
const offsetMicroseconds = Number(process.hrtime.bigint() / 1000n) - performance.now() * 1000;

export function monotonicMicroseconds(): number {
  return performance.now() * 1000 + offsetMicroseconds;
}
