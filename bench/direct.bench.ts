/** What does a direct message from one user to another cost, against a room for every user? */
import { measureGroup, secondsOf, users } from './deliveries.ts';
import type { ServerName } from './load/dialects.ts';
import { candidate } from './measure.ts';
import type { Scenario } from './scenario.ts';

const servers: ServerName[] = ['carillon', 'Socket.IO', 'uWebSockets', 'ws loop'];

export const direct: Scenario = {
  name: 'direct',
  question: 'What does a direct message from one user to another cost, against a room for every user?',
  async run(bench) {
    const [userCount, publishesPerSecond] = bench.isSmoke ? [5, 50] : [1000, 4000];
    await measureGroup(bench, {
      setting: `${userCount} users, ${publishesPerSecond}/s, 100 B`,
      candidates: servers.map((server) => candidate(server)),
      work: {
        ...users(userCount),
        publisherCount: 0,
        payloadBytes: 100,
        seconds: secondsOf(bench, 4),
        pace: { publishesPerSecond },
      },
      comparisons: [
        { server: 'carillon', against: 'Socket.IO', atMost: 0.7 },
        { server: 'carillon', against: 'uWebSockets' },
        { server: 'carillon', against: 'ws loop' },
      ],
    });
  },
};
