/** Topics and users of a shard share one memory of idempotency keys: their keys must not meet in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Tenant, type TopicName, topicKey, type UserId, userKey } from '#proto/names.ts';
import { RecentKeys } from '../../../src/protect/recent-keys.ts';
import { Topic } from '../../../src/topic/topic.ts';
import { User } from '../../../src/user/user.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { noStore } from '../../kit/no-store.ts';
import { countingIds, ManualClock } from '../protect/manual-clock.ts';

const tenant = 'default' as Tenant;
const nothing = () => {};

/** A topic and a user of the same name: both are at home on the same shard. */
function open(name: string) {
  const clock = new ManualClock();
  const recentKeys = new RecentKeys(clock, countingIds(), { accepted: nothing, duplicate: nothing });
  const shared = { clock, recentKeys };
  const topic = new Topic(topicKey(tenant, name as TopicName), {
    ...noStore,
    ...shared,
    subscribers: { deliver: nothing },
    flushes: { requestFlush: nothing },
    counters: { accepted: nothing, duplicate: nothing, expired: nothing, waiting: nothing },
  });
  const user = new User(userKey(tenant, name as UserId), {
    ...shared,
    sessions: { deliver: nothing, copyToSender: nothing },
    sessionsMax: 1,
  });
  return { topic, user };
}

const hi = (from: string, key: string) => ({ from: from as UserId, payload: Payload.ofValue('hi'), key });

test('[PUB3] the key of a publication and of a direct message to the same name are two keys', () => {
  const { topic, user } = open('ben');
  topic.publish(hi('ann', 'k1'), nothing);
  assert.deepEqual(user.direct(userKey(tenant, 'ann' as UserId), hi('ann', 'k1'), undefined), {
    ok: true,
    messageId: 'm2',
    isDuplicate: false,
  });
});

test("[PUB3] nobody can use up the key of another sender's direct message", () => {
  const { topic, user } = open('ben');
  // The attacker's user id is the tenant's name; the key is chosen to look like ann's scope and key.
  topic.publish(hi('default', 'ann|k1'), nothing);
  assert.deepEqual(user.direct(userKey(tenant, 'ann' as UserId), hi('ann', 'k1'), undefined), {
    ok: true,
    messageId: 'm2',
    isDuplicate: false,
  });
});
