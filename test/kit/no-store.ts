/** What a topic's context needs of the store where no topic is durable. */
import type { TopicContext } from '../../src/topic/ports.ts';

export const noStore: Pick<TopicContext, 'messageIds' | 'store' | 'classOf'> = {
  messageIds: { next: () => 'never' },
  store: { append: () => 'down' },
  classOf: () => 'volatile',
};
