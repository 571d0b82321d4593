/** How long does a message take, while 10,000 connections are open and 1,000 messages a second go to random ones? */
import { measureGroup, secondsOf, users } from './deliveries.ts';
import { candidate } from './measure.ts';
import type { Scenario } from './scenario.ts';

export const latency: Scenario = {
  name: 'latency',
  question:
    'How long does a message take, while 10,000 connections are open and 1,000 messages a second go to random ones?',
  async run(bench) {
    const [userCount, publishesPerSecond] = bench.isSmoke ? [10, 50] : [10_000, 1000];
    await measureGroup(bench, {
      setting: `${userCount} connections, ${publishesPerSecond} deliveries/s`,
      candidates: [candidate('carillon'), candidate('Socket.IO')],
      work: {
        ...users(userCount),
        publisherCount: 0,
        payloadBytes: 100,
        seconds: secondsOf(bench, 10),
        pace: { publishesPerSecond },
      },
      figure: ({ received }) => [received.p99Ms, 'ms p99'],
    });
  },
};
