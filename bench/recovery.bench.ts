/** What does it cost when many come back at once, each having missed some messages of one topic? */
import type { LogOrder, LogReply } from './load/log-load.ts';
import type { ComeBackOrder, ComeBackReport } from './load/log-orders.ts';
import { LoadProcess } from './load-process.ts';
import type { Row, Scenario } from './scenario.ts';
import { durableRules, startServer, tokensOf } from './servers.ts';

export const recovery: Scenario = {
  name: 'recovery',
  question: 'What does it cost when many come back at once, each having missed some messages of one topic?',
  async run(bench) {
    const [clientCount, missed] = bench.isSmoke ? [5, 10] : [1000, 100];
    const server = await startServer('carillon', { CARILLON_CONFIG: durableRules });
    const load = new LoadProcess<LogOrder, LogReply>('log-load.ts');
    const tokens = tokensOf(clientCount);
    const order: ComeBackOrder = {
      do: 'comeBack',
      ...{ port: server.port, tokens, clientCount, missed, payloadBytes: 100 },
    };
    try {
      bench.progress(`${clientCount} clients`);
      await load.order({ do: 'prepare', order });
      const [queriesBefore, cpuBefore] = [await server.storeQueries('page'), server.cpuMicroseconds()];
      const { cameBack } = (await load.order(order)) as { cameBack: ComeBackReport };
      const cpu = server.cpuMicroseconds() - cpuBefore;
      const queries = (await server.storeQueries('page')) - queriesBefore;
      bench.rows([rowOf(`${clientCount} clients, ${missed} messages of 100 B each`, cameBack, cpu, queries)]);
    } finally {
      load.end();
      await server.stop();
    }
  },
};

function rowOf(setting: string, report: ComeBackReport, cpu: number, queries: number): Row {
  const { recovered, expected, tookMs } = report;
  const row = { setting, server: 'carillon', unit: 'µs CPU/message recovered' };
  if (recovered !== expected)
    return { ...row, state: 'void', value: Number.NaN, note: `${recovered} of ${expected} came` };
  return {
    ...{ ...row, state: 'measured', value: cpu / recovered },
    note: `all of them in ${tookMs.toFixed(0)} ms; ${queries} queries of the database`,
  };
}
