/** What does it save to let messages wait up to 5 ms for company, against a flush in every turn of the loop? */
import { measureGroup, oneTopic, secondsOf } from './deliveries.ts';
import { candidate } from './measure.ts';
import type { Scenario } from './scenario.ts';

const perTurn = 'carillon, per turn';

export const flush: Scenario = {
  name: 'flush',
  question:
    'What does it save to let messages wait up to 5 ms for company, against a flush in every turn of the loop?',
  async run(bench) {
    const [subscribers, publishesPerSecond] = bench.isSmoke ? [5, 50] : [500, 1000];
    await measureGroup(bench, {
      setting: `${subscribers} subscribers, ${publishesPerSecond}/s, 100 B`,
      candidates: [
        candidate('carillon'),
        candidate('carillon', perTurn, { FLUSH_INTERVAL: '0ms' }),
        candidate('uWebSockets'),
      ],
      work: {
        ...oneTopic(subscribers),
        publisherCount: 1,
        payloadBytes: 100,
        seconds: secondsOf(bench, 4),
        pace: { publishesPerSecond },
      },
      comparisons: [
        { server: 'carillon', against: perTurn },
        { server: 'carillon', against: 'uWebSockets', atMost: 0.6 },
        { server: perTurn, against: 'uWebSockets', atMost: 1 },
      ],
    });
  },
};
