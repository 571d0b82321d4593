/** What does a delivered message cost, when many small topics are published to at random? */
import { measureGroup, secondsOf } from './deliveries.ts';
import type { ServerName } from './load/dialects.ts';
import { candidate, type Work } from './measure.ts';
import type { Scenario } from './scenario.ts';

const servers: ServerName[] = ['carillon', 'Socket.IO', 'uWebSockets', 'ws loop'];
const membersPerTopic = 5;

export const topics: Scenario = {
  name: 'small-topics',
  question: 'What does a delivered message cost, when many small topics are published to at random?',
  async run(bench) {
    const [topicCount, publishesPerSecond] = bench.isSmoke ? [10, 50] : [2000, 4000];
    await measureGroup(bench, {
      setting: `${topicCount} topics of ${membersPerTopic}, ${publishesPerSecond}/s, 100 B`,
      candidates: servers.map((server) => candidate(server)),
      work: {
        ...smallTopics(topicCount),
        publisherCount: bench.isSmoke ? 2 : 50,
        payloadBytes: 100,
        seconds: secondsOf(bench, 4),
        pace: { publishesPerSecond },
      },
      comparisons: servers.slice(1).map((against) => ({ server: 'carillon', against })),
    });
  },
};

/** As many clients as topics; each is a member of as many topics as a topic has members. */
function smallTopics(topicCount: number): Pick<Work, 'kind' | 'targetsOf' | 'targetCount'> {
  const step = topicCount / membersPerTopic;
  const targetsOf = Array.from({ length: topicCount }, (_, client) =>
    Array.from({ length: membersPerTopic }, (__, turn) => (client + turn * step) % topicCount),
  );
  return { kind: 'topics', targetsOf, targetCount: topicCount };
}
