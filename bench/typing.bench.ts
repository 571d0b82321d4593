/** What does it cost when 1,000 times a second somebody begins or ends to write, and do others notice? */
import { setTimeout as sleep } from 'node:timers/promises';
import { secondsOf } from './deliveries.ts';
import { freshAddress } from './fresh-address.ts';
import type { TypingOrder, TypingReply, TypingReport } from './load/typing-load.ts';
import { LoadProcess } from './load-process.ts';
import type { Bench, Row, Scenario } from './scenario.ts';
import { type BenchServer, startServer, tokensOf } from './servers.ts';
import { othersRow, Steady } from './steady.ts';

interface Size {
  topics: number;
  listeners: number;
  typingPerSecond: number;
  others: { subscriberCount: number; publishesPerSecond: number };
}

const full: Size = {
  ...{ topics: 200, listeners: 10, typingPerSecond: 1000 },
  others: { subscriberCount: 100, publishesPerSecond: 500 },
};
const smoke: Size = {
  ...{ topics: 4, listeners: 3, typingPerSecond: 50 },
  others: { subscriberCount: 3, publishesPerSecond: 50 },
};
const warmUpSeconds = 3;

export const typing: Scenario = {
  name: 'typing',
  question:
    'What does it cost when 1,000 times a second somebody begins or ends to write, and do others notice?',
  async run(bench) {
    const size = bench.isSmoke ? smoke : full;
    const server = await startServer('carillon');
    const load = new LoadProcess<TypingOrder, TypingReply>('typing-load.ts');
    const steady = new Steady();
    try {
      await measure(bench, size, server, { load, steady });
    } finally {
      load.end();
      steady.end();
      await server.stop();
    }
  },
};

async function measure(
  bench: Bench,
  { topics, listeners, typingPerSecond, others }: Size,
  server: BenchServer,
  { load, steady }: { load: LoadProcess<TypingOrder, TypingReply>; steady: Steady },
): Promise<void> {
  const [{ port }, tokens] = [server, tokensOf(topics * listeners)];
  const audience = { port, tokens, topicCount: topics, localAddress: freshAddress() };
  const type = async (seconds: number) =>
    ((await load.order({ do: 'type', perSecond: typingPerSecond, seconds })) as { typed: TypingReport })
      .typed;
  await load.order({ do: 'listen', audience });
  const setting = `${typingPerSecond}/s in ${topics} topics of ${listeners}`;
  bench.progress(setting);
  if (!bench.isSmoke) await type(warmUpSeconds);
  const cpuBefore = server.cpuMicroseconds();
  const alone = await type(secondsOf(bench, 6));
  bench.rows([typingRow(setting, alone, server.cpuMicroseconds() - cpuBefore)]);
  bench.progress('beside a fan-out');
  await steady.start({
    ...{ port, token: tokens[0] as string, topic: 'bench:others', payloadBytes: 100, shard: 0, ...others },
  });
  await sleep(secondsOf(bench, warmUpSeconds) * 1000);
  await steady.lap();
  await sleep(secondsOf(bench, 6) * 1000);
  const before = await steady.lap();
  const beside = await type(secondsOf(bench, 6));
  const during = await steady.lap();
  const report = await steady.stop();
  const { subscriberCount, publishesPerSecond } = others;
  const fanout = `beside it ${subscriberCount} subscribers, ${publishesPerSecond}/s`;
  const row = othersRow(fanout, { before, during, report });
  bench.rows([{ ...row, note: `${row.note}; ${droppedText(beside)}` }]);
}

function typingRow(setting: string, report: TypingReport, cpuMicroseconds: number): Row {
  const { delivered, closedCount, lateMaxMs } = report;
  const row = { setting, server: 'carillon', unit: 'µs CPU/delivery' };
  const complaint = closedCount > 0 ? `${closedCount} connections were closed by the server` : undefined;
  if (complaint !== undefined || delivered === 0)
    return { ...row, state: 'void', value: Number.NaN, note: complaint ?? 'nothing was delivered' };
  return {
    ...{ ...row, state: 'measured', value: cpuMicroseconds / delivered },
    note: `${droppedText(report)}; the load fell behind by up to ${lateMaxMs.toFixed(0)} ms`,
  };
}

/** `Typing` may be dropped: how much of it was is a figure and no failure. */
function droppedText({ delivered, expected }: TypingReport): string {
  return `${(100 * (1 - delivered / expected)).toFixed(2)} % of ${expected} deliveries were dropped`;
}
