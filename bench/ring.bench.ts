/** What does a record between two threads cost, by a ring and by one postMessage each? */
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import { allocateRing } from '../src/ring/ring-layout.ts';
import type { RingEnd } from './load/ring-end.ts';
import { compare, type Row, type Scenario } from './scenario.ts';

const recordBytes = 200;
/** The default of RING_BYTES. */
const ringBytes = 1024 * 1024;

export const ring: Scenario = {
  name: 'ring',
  question: 'What does a record between two threads cost, by a ring and by one postMessage each?',
  async run(bench) {
    const [byRing, byPort] = bench.isSmoke ? [20_000, 2000] : [8_000_000, 600_000];
    bench.progress('records between two threads');
    const rows = [await measure('ring', byRing), await measure('postMessage', byPort)];
    compare(rows, [{ server: 'ring', against: 'postMessage' }]);
    bench.rows(rows);
  },
};

async function measure(by: 'ring' | 'postMessage', recordCount: number): Promise<Row> {
  const { port1, port2 } = new MessageChannel();
  const shared = by === 'ring' ? { ring: allocateRing(ringBytes, 0) } : {};
  const [writer, reader] = [
    await startEnd({ role: 'writer', port: port1, recordCount, recordBytes, ...shared }),
    await startEnd({ role: 'reader', port: port2, recordCount, recordBytes, ...shared }),
  ];
  const [cpuBefore, startedMs] = [process.cpuUsage(), performance.now()];
  writer.postMessage('go');
  await once(reader, 'message');
  const [cpu, tookMs] = [process.cpuUsage(cpuBefore), performance.now() - startedMs];
  await Promise.all([writer.terminate(), reader.terminate()]);
  return {
    setting: `${recordCount} records of ${recordBytes} B`,
    server: by,
    state: 'measured',
    value: (cpu.user + cpu.system) / recordCount,
    unit: 'µs CPU/record',
    note: `both threads; ${(recordCount / tookMs).toFixed(0)}k records/s`,
  };
}

async function startEnd(end: RingEnd): Promise<Worker> {
  const worker = new Worker(new URL('./load/ring-end.ts', import.meta.url), {
    workerData: end,
    transferList: [end.port],
  });
  await once(worker, 'message');
  return worker;
}
