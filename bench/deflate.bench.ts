/** What does compression save in bytes and cost in CPU, when it is done once for all subscribers? */
import { oneTopic, secondsOf } from './deliveries.ts';
import { type Candidate, candidate, measure, rowOf, type Work } from './measure.ts';
import { compare, type Row, type Scenario } from './scenario.ts';

const candidates = [
  candidate('carillon', 'carillon, deflate', { DEFLATE: 'true' }),
  candidate('carillon', 'carillon, plain'),
];
const comparisons = [{ server: 'carillon, deflate', against: 'carillon, plain' }];

export const deflate: Scenario = {
  name: 'deflate',
  question: 'What does compression save in bytes and cost in CPU, when it is done once for all subscribers?',
  async run(bench) {
    const [subscribers, publishesPerSecond] = bench.isSmoke ? [5, 50] : [500, 1000];
    const setting = `${subscribers} subscribers, ${publishesPerSecond}/s, 1 KB like JSON`;
    const work: Work = {
      ...oneTopic(subscribers),
      ...{ publisherCount: 1, payloadBytes: 1024, isLikeJson: true, offersDeflate: true },
      ...{ seconds: secondsOf(bench, 4), pace: { publishesPerSecond } },
    };
    const measured: { cpu: Row; bytes: Row }[] = [];
    for (const asked of candidates) {
      bench.progress(asked.label);
      measured.push(await rowsOf(setting, asked, work));
    }
    const [cpu, bytes] = [measured.map((rows) => rows.cpu), measured.map((rows) => rows.bytes)];
    compare(cpu, comparisons);
    compare(bytes, comparisons);
    bench.rows([...bytes, ...cpu]);
  },
};

async function rowsOf(setting: string, asked: Candidate, work: Work): Promise<{ cpu: Row; bytes: Row }> {
  const measurement = await measure(asked, work);
  const { payloadByteCount, delivered } = measurement.received;
  return {
    cpu: rowOf(setting, asked, measurement),
    bytes: rowOf(setting, asked, measurement, [payloadByteCount / delivered, 'bytes/delivery']),
  };
}
