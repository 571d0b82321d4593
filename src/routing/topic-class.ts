/** What a topic promises, by its name: the first rule that matches. Pure. */
import { matchesPattern } from '#kit/pattern.ts';
import { isReservedTopic, type TopicName } from '#proto/names.ts';

export const topicClasses = ['durable', 'volatile'] as const;
export type TopicClass = (typeof topicClasses)[number];

export interface TopicRule {
  /** `*` matches any run of characters. */
  match: string;
  class: TopicClass;
}

/** Behind the rules of the configuration. */
const builtInRules: readonly TopicRule[] = [{ match: '*', class: 'volatile' }];

/** The server's own topics (inboxes, everyone's) are volatile so far, whatever the rules say. */
export function topicClassOf(rules: readonly TopicRule[], topic: TopicName): TopicClass {
  if (isReservedTopic(topic)) return 'volatile';
  const rule = [...rules, ...builtInRules].find(({ match }) => matchesPattern(match, topic));
  return rule?.class ?? 'volatile';
}
