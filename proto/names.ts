/** The names of protocol section 3: their form, and branded types so that they cannot be swapped. */
import type { Brand } from '#kit/brand.ts';
import { tenantCharsMax, topicCharsMax, userIdCharsMax } from './limits.ts';

export type Tenant = Brand<string, 'Tenant'>;
export type UserId = Brand<string, 'UserId'>;
export type TopicName = Brand<string, 'TopicName'>;
export type MessageId = Brand<string, 'MessageId'>;
export type SessionId = Brand<string, 'SessionId'>;
/** Number of a shard, 0..shards-1; stable across restarts of its thread. */
export type ShardId = Brand<number, 'ShardId'>;
/** A topic inside its tenant, `tenant|topic`: what homes, tables and records go by. */
export type TopicKey = Brand<string, 'TopicKey'>;
/** A user inside their tenant, `tenant|user`. */
export type UserKey = Brand<string, 'UserKey'>;

export const userIdPattern = `^[A-Za-z0-9_.@-]{1,${userIdCharsMax}}$`;
export const topicPattern = `^[A-Za-z0-9_.:@/-]{1,${topicCharsMax}}$`;
/** A UUID. */
export const messageIdPattern = '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$';
export const tenantPattern = `^[A-Za-z0-9_.-]{1,${tenantCharsMax}}$`;

/** The store's thread where a shard would be named: it is a peer of every shard. */
export const storePeer = 0xffff as ShardId;

export const defaultTenant = 'default' as Tenant;
/** The topic of broadcasts to every connected user of a tenant. */
export const everyoneTopic = 'sys:all' as TopicName;

/** `inbox:` and `sys:` belong to the server: clients cannot publish to them. */
export function isReservedTopic(topic: TopicName): boolean {
  return topic.startsWith('inbox:') || topic.startsWith('sys:');
}

/** Where direct messages of a user land. */
export function inboxOf(user: UserId): TopicName {
  return `inbox:${user}` as TopicName;
}

/** Whose inbox a topic is; undefined for other topics. */
export function userOfInbox(topic: TopicName): UserId | undefined {
  return topic.startsWith('inbox:') ? (topic.slice('inbox:'.length) as UserId) : undefined;
}

const watchedUserPrefix = 'sys:presence:';
const membersPrefix = 'sys:members:';

/** What those subscribe who follow the presence of a user. Its home is that of the user. */
export function presenceOfUser(user: UserKey): TopicKey {
  return topicKey(tenantOfKey(user), `${watchedUserPrefix}${userOfKey(user)}` as TopicName);
}

/** What those subscribe who follow the members of a topic. Its home is that of the topic. */
export function membersOfTopic(topic: TopicKey): TopicKey {
  return topicKey(tenantOfKey(topic), `${membersPrefix}${topicOfKey(topic)}` as TopicName);
}

/** It is about presence, and subscribed by other commands. */
export function isBoard(topic: TopicName): boolean {
  return topic.startsWith(watchedUserPrefix) || topic.startsWith(membersPrefix);
}

/** Whose presence it is about; undefined for other topics. */
export function watchedUser(key: TopicKey): UserKey | undefined {
  const name = topicOfKey(key);
  if (!name.startsWith(watchedUserPrefix)) return undefined;
  return userKey(tenantOfKey(key), name.slice(watchedUserPrefix.length) as UserId);
}

/** Whose members it is about; undefined for other topics. */
export function topicOfMembers(key: TopicKey): TopicKey | undefined {
  const name = nameOfMembers(topicOfKey(key));
  return name === undefined ? undefined : topicKey(tenantOfKey(key), name);
}

export function nameOfMembers(topic: TopicName): TopicName | undefined {
  return topic.startsWith(membersPrefix) ? (topic.slice(membersPrefix.length) as TopicName) : undefined;
}

/** `|` occurs in neither name, so that a key can be taken apart again. */
export function topicKey(tenant: Tenant, topic: TopicName): TopicKey {
  return `${tenant}|${topic}` as TopicKey;
}

export function tenantOfKey(key: TopicKey | UserKey): Tenant {
  return key.slice(0, key.indexOf('|')) as Tenant;
}

export function topicOfKey(key: TopicKey): TopicName {
  return key.slice(key.indexOf('|') + 1) as TopicName;
}

export function userKey(tenant: Tenant, user: UserId): UserKey {
  return `${tenant}|${user}` as UserKey;
}

export function userOfKey(key: UserKey): UserId {
  return key.slice(key.indexOf('|') + 1) as UserId;
}
