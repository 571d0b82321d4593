/** What a session may read of what is stored. Pure. Called by the handlers that read history. */
import { inboxOf, type TopicName, userOfInbox } from '#proto/names.ts';
import type { Identity } from '../auth/token-claims.ts';

/** One's own inbox is always readable, others' never; other topics take the permission. */
export function mayRead({ permissions, userId }: Identity, topic: TopicName): boolean {
  return userOfInbox(topic) === undefined ? permissions.allows('history', topic) : topic === inboxOf(userId);
}
