/** The class of a topic: the first rule that matches, and behind them the classes that names promise by themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TopicName } from '#proto/names.ts';
import { ruleOf, type TopicRule, topicClassOf } from '../../../src/routing/topic-class.ts';

const classOf = (rules: TopicRule[], topic: string) => topicClassOf(rules, topic as TopicName);

test('the first rule that matches counts', () => {
  const rules: TopicRule[] = [
    { match: 'log:debug:*', class: 'volatile' },
    { match: 'log:*', class: 'durable' },
    { match: '*:audit', class: 'cached' },
  ];
  assert.equal(classOf(rules, 'log:debug:1'), 'volatile');
  assert.equal(classOf(rules, 'log:1'), 'durable');
  assert.equal(classOf(rules, 'log:audit'), 'durable');
  assert.equal(classOf(rules, 'team:audit'), 'cached');
});

test('without a rule a topic is durable, unless its name says live: or cache:', () => {
  for (const rules of [[], [{ match: 'log:*', class: 'volatile' }] as TopicRule[]]) {
    assert.equal(classOf(rules, 'chat:lobby'), 'durable');
    assert.equal(classOf(rules, 'live'), 'durable');
    assert.equal(classOf(rules, 'a:live:b'), 'durable');
    assert.equal(classOf(rules, 'live:cursors'), 'volatile');
    assert.equal(classOf(rules, 'cache:prices'), 'cached');
    assert.equal(classOf(rules, 'inbox:ann'), 'durable');
  }
});

test('a rule of the configuration comes before what a name promises by itself', () => {
  const rules: TopicRule[] = [{ match: 'live:audit:*', class: 'durable' }];
  assert.deepEqual([classOf(rules, 'live:audit:1'), classOf(rules, 'live:cursors')], ['durable', 'volatile']);
  assert.equal(classOf([{ match: '*', class: 'volatile' }], 'cache:prices'), 'volatile');
});

test("the server's own topics are volatile, whatever a rule says", () => {
  for (const topicClass of ['durable', 'cached', 'volatile'] as const) {
    assert.equal(classOf([{ match: '*', class: topicClass }], 'sys:all'), 'volatile');
  }
});

test('an inbox is volatile where a rule says so, and never less than durable otherwise', () => {
  assert.equal(classOf([{ match: 'inbox:*', class: 'volatile' }], 'inbox:ann'), 'volatile');
  assert.equal(classOf([{ match: '*', class: 'cached' }], 'inbox:ann'), 'durable');
  assert.equal(classOf([{ match: '*', class: 'cached' }], 'inboxes:ann'), 'cached');
});

test('the rule that gave the class is the one that says what is searched and how long it is kept', () => {
  const rules: TopicRule[] = [
    { match: 'a:*', class: 'durable', search: ['title'], retentionMs: 7 },
    { match: '*', class: 'volatile', search: false },
  ];
  assert.equal(ruleOf(rules, 'a:1' as TopicName), rules[0]);
  assert.equal(ruleOf(rules, 'b' as TopicName), rules[1]);
  assert.deepEqual(ruleOf([], 'b' as TopicName), { match: '*', class: 'durable' });
});
