/** `Edit` and `Delete`: who may change what, and what is said to those for whom it is none of their business. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TopicKey, UserId } from '#proto/names.ts';
import { topicKey, userOfKey } from '#proto/names.ts';
import { PermissionSource } from '../../../src/auth/permissions.ts';
import type { FoundMessage } from '../../../src/store/history-store.ts';
import type { Amendment } from '../../../src/wire/message.ts';
import { Payload } from '../../../src/wire/payload.ts';
import { idOf } from '../../contract/entries.ts';
import { SessionWorld } from '../../kit/session-world.ts';
import { tenant } from '../log/log-world.ts';

interface Token {
  permissions?: string[];
  roles?: string[];
}

const messageId = idOf(1);
const key = (name: string): TopicKey => topicKey(tenant, name as never);

function foundIn(topics: TopicKey[], from = 'ann'): FoundMessage[] {
  return topics.map((topic, index) => ({
    topic,
    message: {
      ...{ kind: 'message', offset: index + 1, messageId, from: from as UserId },
      ...{ peer: undefined, target: undefined, event: undefined, priority: undefined, timestampMs: 1000 },
      ...{ payload: Payload.ofValue('hi').msgpack, editedAtMs: undefined, deletedAtMs: undefined },
    },
  }));
}

/** What ann said to ben, in both inboxes. */
const direct = foundIn([key('inbox:ann'), key('inbox:ben')]);

/** `user` edits or deletes what the store has found; answered is what was said, and which home was asked. */
function amend(type: 'Edit' | 'Delete', user: string, token: Token, found: FoundMessage[]) {
  const world = new SessionWorld();
  const asked: [home: string, mayAmendAny: boolean][] = [];
  const record = (home: string, { mayAmendAny }: Amendment) => {
    asked.push([home, mayAmendAny]);
    const answer = { ok: true as const, position: { offset: 9, epoch: 'e' }, atMs: 5 };
    return { state: 'answered' as const, answer };
  };
  world.ask = () => ({ state: 'answered', answer: { ok: true, result: found } });
  world.context.users.amend = (of, _other, amendment) => record(userOfKey(of), amendment);
  world.context.topics.amend = (of, amendment) => record(of, amendment);
  const { session, transport } = world.connect();
  const permissions = new PermissionSource({}).of(token);
  session.authenticate({ ...world.identity(user), permissions });
  const payload = type === 'Edit' ? { payload: 'ho' } : {};
  world.send(session, { type, id: 'a', data: { messageId, ...payload } });
  const { data } = transport.envelopes().at(-1)!;
  return { said: data.code ?? data.op, asked };
}

const everything = ['edit:*', 'delete:*', 'history:*', 'subscribe:*', 'publish:*'];
const admin = { roles: ['admin'] };

test('a direct message between two others is not there for who may edit and delete everything', () => {
  for (const type of ['Edit', 'Delete'] as const) {
    for (const permissions of [everything, ['edit:inbox:*', 'delete:inbox:*'], []]) {
      assert.deepEqual(
        amend(type, 'eve', { permissions }, direct),
        amend(type, 'eve', { permissions }, []),
        `${type} with ${permissions}: as if there were none`,
      );
      assert.deepEqual(amend(type, 'eve', { permissions }, direct), { said: 'not_found', asked: [] });
    }
  }
});

test('who got a direct message changes it with no permission but that of an administrator', () => {
  for (const type of ['Edit', 'Delete'] as const) {
    assert.deepEqual(amend(type, 'ben', { permissions: everything }, direct), {
      ...{ said: 'permission_denied', asked: [] },
    });
    assert.deepEqual(amend(type, 'ben', admin, direct), { said: type, asked: [['ann', true]] });
  }
});

test('who wrote a direct message changes it, and needs no permission', () => {
  for (const type of ['Edit', 'Delete'] as const) {
    for (const permissions of [[], everything])
      assert.deepEqual(amend(type, 'ann', { permissions }, direct), { said: type, asked: [['ben', false]] });
  }
});

test('an administrator changes a direct message between two others', () => {
  for (const type of ['Edit', 'Delete'] as const) {
    const { said, asked } = amend(type, 'root', admin, direct);
    assert.deepEqual([said, asked.map(([, mayAmendAny]) => mayAmendAny)], [type, [true]]);
  }
});

test('a message of a topic is changed with the permission for it, as before', () => {
  const found = foundIn([key('chat:a')]);
  assert.deepEqual(amend('Edit', 'eve', { permissions: ['edit:*'] }, found), {
    ...{ said: 'Edit', asked: [[key('chat:a'), true]] },
  });
  assert.equal(amend('Delete', 'eve', { permissions: ['edit:*'] }, found).said, 'not_found');
  assert.equal(amend('Delete', 'eve', { permissions: ['history:*'] }, found).said, 'permission_denied');
});
