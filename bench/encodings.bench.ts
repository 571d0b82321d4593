/** What does it cost that the subscribers of one topic speak JSON and msgpack, mixed? */
import { measureGroup, oneTopic, secondsOf } from './deliveries.ts';
import type { Encoding } from './load/dialects.ts';
import { candidate } from './measure.ts';
import { compare, type Row, type Scenario } from './scenario.ts';

const mixes: [label: string, encodings: Encoding[]][] = [
  ['carillon, all JSON', ['json']],
  ['carillon, all msgpack', ['msgpack']],
  ['carillon, half each', ['json', 'msgpack']],
];

export const encodings: Scenario = {
  name: 'encodings',
  question: 'What does it cost that the subscribers of one topic speak JSON and msgpack, mixed?',
  async run(bench) {
    const [subscribers, publishesPerSecond] = bench.isSmoke ? [6, 50] : [500, 1000];
    const rows: Row[] = [];
    for (const [label, mix] of bench.isSmoke ? mixes.slice(-1) : mixes) {
      const group = await measureGroup(
        { ...bench, rows: () => undefined },
        {
          setting: `${subscribers} subscribers, ${publishesPerSecond}/s, 100 B`,
          candidates: [candidate('carillon', label)],
          work: {
            ...oneTopic(subscribers),
            encodings: mix,
            publisherCount: 1,
            payloadBytes: 100,
            seconds: secondsOf(bench, 4),
            pace: { publishesPerSecond },
          },
        },
      );
      rows.push(...group);
    }
    compare(rows, [{ server: 'carillon, half each', against: 'carillon, all JSON' }]);
    bench.rows(rows);
  },
};
