/** Do two shards deliver more than one, with the load beside them on the same cores? */
import { judgedRounds, medianOf, runnable, secondsOf, skippedRow } from './deliveries.ts';
import { type Candidate, candidate, measure, rowOf, type Work } from './measure.ts';
import { compare, type Row, type Scenario } from './scenario.ts';

const candidates = [
  candidate('carillon', 'carillon, 1 shard', { SHARDS: '1' }),
  candidate('carillon', 'carillon, 2 shards', { SHARDS: '2' }),
  candidate('Socket.IO', 'Socket.IO'),
  candidate('Socket.IO cluster', 'Socket.IO, 2 workers'),
];
const membersPerTopic = 10;

export const shards: Scenario = {
  name: 'shards',
  question: 'Do two shards deliver more than one, with the load beside them on the same cores?',
  async run(bench) {
    const topicCount = bench.isSmoke ? 4 : 100;
    const work = saturated(topicCount, secondsOf(bench, 4));
    const setting = `${topicCount} topics of ${membersPerTopic}, saturated`;
    const tries = new Map<Candidate, [throughput: Row, cpu: Row][]>();
    for (let round = 1; round <= (bench.isSmoke ? 1 : judgedRounds); round++) {
      for (const server of runnable(bench, candidates)) {
        bench.progress(`${setting}, ${server.label}, round ${round}`);
        tries.set(server, [...(tries.get(server) ?? []), await measureBoth(setting, server, work)]);
      }
    }
    const all = [...tries.values()];
    const throughput = all.map((rows) => medianOf(rows.map(([row]) => row)));
    const cpu = all.map((rows) => medianOf(rows.map(([, row]) => row)));
    compare(throughput, [
      { server: 'carillon, 2 shards', against: 'carillon, 1 shard', atLeast: 1 },
      { server: 'Socket.IO, 2 workers', against: 'Socket.IO' },
    ]);
    compare(cpu, [
      { server: 'carillon, 2 shards', against: 'carillon, 1 shard' },
      { server: 'Socket.IO, 2 workers', against: 'Socket.IO' },
    ]);
    bench.rows([...throughput, ...cpu]);
  },
};

async function measureBoth(setting: string, server: Candidate, work: Work): Promise<[Row, Row]> {
  const skipped = skippedRow(setting, server);
  if (skipped !== undefined) return [skipped, skipped];
  const measurement = await measure(server, work);
  const { deliveriesPerSecond } = measurement;
  return [
    rowOf(setting, server, measurement, [deliveriesPerSecond / 1000, 'k deliveries/s']),
    rowOf(setting, server, measurement),
  ];
}

/**
 * Many small topics, so that most of the work is the server's (commands to decode, publications to encode), and little
 * of it the load's: on two cores that is what leaves room for a second shard. So many are under way that the server is
 * never without: with 8 it waited for the load to answer its flushes.
 */
function saturated(topicCount: number, seconds: number): Work {
  const length = topicCount * membersPerTopic;
  return {
    kind: 'topics',
    targetsOf: Array.from({ length }, (_, client) => [client % topicCount]),
    targetCount: topicCount,
    publisherCount: 0,
    payloadBytes: 100,
    seconds,
    pace: { inFlightPerTarget: 32 },
  };
}
