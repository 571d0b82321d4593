/**
 * What of a payload a search finds: all of its strings, or the fields that the topic's rule names.
 * Thread: store. Called once per message, before it is stored.
 */
import { type TopicKey, topicOfKey } from '#proto/names.ts';
import { ruleOf, type TopicRule } from '../routing/topic-class.ts';
import { unpackMsgpack } from '../wire/codec.ts';

/** Characters of one message that are indexed. */
const textCharsMax = 16_384;

/** Undefined: nothing to find. */
export function searchText(
  rules: readonly TopicRule[],
  { topic, payload }: { topic: TopicKey; payload: Uint8Array },
): string | undefined {
  const fields = ruleOf(rules, topicOfKey(topic)).search;
  if (fields === false) return undefined;
  const value = unpackMsgpack(payload);
  const strings: string[] = [];
  if (fields === undefined) collect(value, strings);
  else for (const field of fields) collect(fieldAt(value, field), strings);
  const text = strings.join('\n').slice(0, textCharsMax);
  return text === '' ? undefined : text;
}

/** Values, not names of fields. Payloads are nested no deeper than their frame may be. */
function collect(value: unknown, into: string[]): void {
  if (typeof value === 'string') into.push(value);
  else if (Array.isArray(value)) for (const entry of value) collect(entry, into);
  else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    for (const entry of Object.values(value)) collect(entry, into);
  }
}

/** `a.b` is the field b of the field a. */
function fieldAt(value: unknown, path: string): unknown {
  let at = value;
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as Record<string, unknown>)[name];
  }
  return at;
}
