/** The class of a topic: the first rule that matches, and volatile behind them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TopicName } from '#proto/names.ts';
import { type TopicRule, topicClassOf } from '../../../src/routing/topic-class.ts';

const classOf = (rules: TopicRule[], topic: string) => topicClassOf(rules, topic as TopicName);

test('the first rule that matches counts', () => {
  const rules: TopicRule[] = [
    { match: 'log:debug:*', class: 'volatile' },
    { match: 'log:*', class: 'durable' },
    { match: '*:audit', class: 'durable' },
  ];
  assert.equal(classOf(rules, 'log:debug:1'), 'volatile');
  assert.equal(classOf(rules, 'log:1'), 'durable');
  assert.equal(classOf(rules, 'team:audit'), 'durable');
  assert.equal(classOf(rules, 'chat:lobby'), 'volatile');
  assert.equal(classOf([], 'chat:lobby'), 'volatile');
});

test("the server's own topics are volatile, whatever a rule says", () => {
  for (const topic of ['inbox:ann', 'sys:all']) {
    assert.equal(classOf([{ match: '*', class: 'durable' }], topic), 'volatile');
  }
});
