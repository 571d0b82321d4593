/** What of a payload a search finds: its strings, or the fields that the topic's rule names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tenant, TopicName } from '#proto/names.ts';
import { topicKey } from '#proto/names.ts';
import type { TopicRule } from '../../../src/routing/topic-class.ts';
import { searchText } from '../../../src/store/search-text.ts';
import { packMsgpack } from '../../../src/wire/codec.ts';

const textCharsMax = 16_384;
const textOf = (payload: unknown, rules: TopicRule[] = [], topic = 'chat:a') =>
  searchText(rules, {
    topic: topicKey('default' as Tenant, topic as TopicName),
    payload: packMsgpack(payload),
  });
const rule = (search: TopicRule['search'] & {}, match = 'chat:*'): TopicRule => ({
  match,
  class: 'durable',
  search,
});

test('without a rule all strings are found, at any depth, in their order, and no name of a field', () => {
  const payload = { title: 'one', body: { text: 'two', list: ['three', { deep: 'four' }] }, last: 'five' };
  assert.equal(textOf(payload), 'one\ntwo\nthree\nfour\nfive');
  assert.equal(textOf('just this'), 'just this');
});

test('what is no text is not found: numbers, flags, nothing, bytes', () => {
  for (const payload of [1, true, null, {}, [], [[]], { a: 1, b: [false, null] }, '', ['', '']]) {
    const text = textOf(payload);
    assert.ok(text === undefined || text.trim() === '', JSON.stringify(payload));
  }
  assert.equal(textOf({ image: Buffer.from('not text'), text: 'text' }), 'text');
  assert.equal(textOf(''), undefined);
});

test('a rule names the fields that are found, inner ones too, and nothing beside them', () => {
  const payload = { title: 'one', body: { text: 'two', html: 'three' }, secret: 'four' };
  assert.equal(textOf(payload, [rule(['title', 'body.text'])]), 'one\ntwo');
  assert.equal(textOf(payload, [rule(['body'])]), 'two\nthree', 'all of a field that has fields');
  assert.equal(textOf(payload, [rule(['none', 'title.none', 'body.text.none'])]), undefined);
  assert.equal(textOf('just this', [rule(['title'])]), undefined);
  assert.equal(textOf(payload, [rule([])]), undefined);
});

test('fields that every value has by itself are none of the payload', () => {
  for (const path of ['constructor.name', '__proto__', 'toString', 'title.length', 'list.constructor.name']) {
    assert.equal(textOf({ title: 'one', list: ['x'] }, [rule([path])]), undefined, path);
  }
});

test('a rule with false finds nothing, and the first rule that matches counts', () => {
  const payload = { title: 'one', text: 'two' };
  assert.equal(textOf(payload, [rule(false)]), undefined);
  assert.equal(textOf(payload, [rule(['text'], 'chat:a'), rule(false)]), 'two');
  assert.equal(textOf(payload, [rule(false, 'other:*')]), 'one\ntwo');
  assert.equal(textOf(payload, [rule(false, 'inbox:*')], 'inbox:ben'), undefined);
});

test('so many characters of a message are found and no more', () => {
  const text = textOf({ a: 'x'.repeat(textCharsMax - 1), b: 'yz' });
  assert.equal(text?.length, textCharsMax);
  assert.equal(textOf({ a: 'x'.repeat(textCharsMax) })?.length, textCharsMax);
  assert.equal(textOf(Array.from({ length: 5000 }, () => 'four'))?.length, textCharsMax);
});
