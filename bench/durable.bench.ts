/** What does it cost that a message is committed to the disk before it is acked and delivered? */
import { measureGroup, secondsOf } from './deliveries.ts';
import { candidate, type Work } from './measure.ts';
import type { Scenario } from './scenario.ts';
import { durableRules } from './servers.ts';

const membersPerTopic = 5;

export const durable: Scenario = {
  name: 'durable',
  question: 'What does it cost that a message is committed to the disk before it is acked and delivered?',
  async run(bench) {
    const topicCount = bench.isSmoke ? 4 : 100;
    const candidates = [
      candidate('carillon', 'carillon, durable', { CARILLON_CONFIG: durableRules }),
      candidate('carillon', 'carillon, volatile'),
    ];
    const comparisons = [{ server: 'carillon, durable', against: 'carillon, volatile' }];
    const topics = `${topicCount} topics of ${membersPerTopic}`;
    const rate = bench.isSmoke ? 50 : 2000;
    await measureGroup(bench, {
      ...{ setting: `${topics}, ${rate}/s`, candidates, comparisons },
      work: work(topicCount, secondsOf(bench, 4), { publishesPerSecond: rate }),
    });
    await measureGroup(bench, {
      ...{ setting: `${topics}, saturated`, candidates, comparisons },
      work: work(topicCount, secondsOf(bench, 4), { inFlightPerTarget: 16 }),
      figure: ({ deliveriesPerSecond }) => [deliveriesPerSecond / membersPerTopic / 1000, 'k messages/s'],
    });
  },
};

function work(topicCount: number, seconds: number, pace: Work['pace']): Work {
  const length = topicCount * membersPerTopic;
  return {
    kind: 'topics',
    targetsOf: Array.from({ length }, (_, client) => [client % topicCount]),
    targetCount: topicCount,
    publisherCount: 0,
    payloadBytes: 100,
    seconds,
    pace,
  };
}
