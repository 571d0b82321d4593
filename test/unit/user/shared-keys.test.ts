/** Topics and users of a shard share one memory of idempotency keys: their keys must not meet in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ShardId, type Tenant, type TopicName, topicKey, type UserId, userKey } from '#proto/names.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import type { TopicContext } from '../../../src/topic/ports.ts';
import { Topic } from '../../../src/topic/topic.ts';
import type { UserContext } from '../../../src/user/ports.ts';
import { User } from '../../../src/user/user.ts';
import type { Answer, Message } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { alone, noStore } from '../../kit/no-store.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';

const tenant = 'default' as Tenant;
const nothing = () => {};

/** A topic and a user of the same name: both are at home on the same shard. */
function open(name: string) {
  const clock = new ManualClock();
  const recentKeys = new RecentKeys(clock, countingIds(), { accepted: nothing, duplicate: nothing });
  const shared = { clock, recentKeys };
  const topicCtx: TopicContext = {
    ...{ ...noStore, ...shared },
    subscribers: { deliver: () => 'sent', tellLost: nothing },
    flushes: { requestFlush: nothing },
    counters: { dropped: nothing, expired: nothing, waiting: nothing },
  };
  const userCtx: UserContext = {
    ...{ ...noStore, ...alone, ...shared },
    sessions: {
      deliver: () => 'sent',
      ...{ hide: nothing, replace: nothing, tellLost: nothing, tellReceipt: nothing, copyToSender: nothing },
    },
    sessionsMax: 1,
    homeOf: () => 0 as ShardId,
  };
  const topic = new Topic(topicKey(tenant, name as TopicName), topicCtx, nothing);
  const user = new User(userKey(tenant, name as UserId), userCtx, { onIdle: nothing });
  const direct = (message: Message): Answer | undefined => {
    let answered: Answer | undefined;
    user.direct(userKey(tenant, message.from), message, undefined, (answer) => {
      answered = answer;
    });
    return answered;
  };
  return { topic, direct };
}

const hi = (from: string, key: string) => ({ from: from as UserId, payload: Payload.ofValue('hi'), key });

test('[PUB3] the key of a publication and of a direct message to the same name are two keys', () => {
  const { topic, direct } = open('ben');
  topic.publish(hi('ann', 'k1'), nothing);
  assert.deepEqual(direct(hi('ann', 'k1')), {
    ok: true,
    messageId: 'm2',
    isDuplicate: false,
  });
});

test("[PUB3] nobody can use up the key of another sender's direct message", () => {
  const { topic, direct } = open('ben');
  // The attacker's user id is the tenant's name; the key is chosen to look like ann's scope and key.
  topic.publish(hi('default', 'ann|k1'), nothing);
  assert.deepEqual(direct(hi('ann', 'k1')), {
    ok: true,
    messageId: 'm2',
    isDuplicate: false,
  });
});
