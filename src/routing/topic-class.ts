/** What a topic promises, by its name: the first rule that matches. Pure. */
import { matchesPattern } from '#kit/pattern.ts';
import type { TopicName } from '#proto/names.ts';

export const topicClasses = ['durable', 'cached', 'volatile'] as const;
export type TopicClass = (typeof topicClasses)[number];

export interface TopicRule {
  /** `*` matches any run of characters. */
  match: string;
  class: TopicClass;
  /** Fields of the payload that a search finds (`a.b` is the field b of a); false: none. All strings when it is not said. */
  search?: readonly string[] | false;
  /** How long messages are kept, milliseconds; for ever when neither this nor RETENTION says. */
  retentionMs?: number;
}

/** Before the rules of the configuration: everyone's topic is never stored. */
const fixedRules: readonly TopicRule[] = [{ match: 'sys:*', class: 'volatile' }];
/** Behind them (protocol section 3). */
const builtInRules: readonly TopicRule[] = [
  { match: 'cache:*', class: 'cached' },
  { match: 'live:*', class: 'volatile' },
  { match: '*', class: 'durable' },
];

/** `rules` are those of the configuration. */
export function ruleOf(rules: readonly TopicRule[], topic: TopicName): TopicRule {
  const matches = ({ match }: TopicRule) => matchesPattern(match, topic);
  return (fixedRules.find(matches) ?? rules.find(matches) ?? builtInRules.find(matches)) as TopicRule;
}

/** Inboxes are durable or volatile: what promises more than nothing is kept for those who are away. */
export function topicClassOf(rules: readonly TopicRule[], topic: TopicName): TopicClass {
  const topicClass = ruleOf(rules, topic).class;
  return topicClass === 'cached' && topic.startsWith('inbox:') ? 'durable' : topicClass;
}
