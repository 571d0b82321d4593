/** `Broadcast`: permission here, then the topic's home, which gives the id and fans out. */
import { everyoneTopic, isReservedTopic, type TopicName, topicKey } from '#proto/names.ts';
import { messageOf } from '../../wire/message.ts';
import { acceptedReply, type Handler, refuse, settle, withKey } from '../outcome.ts';

export const broadcast: Handler<'Broadcast'> = {
  handle({ session, phase }, envelope, ctx) {
    const { permissions, userId, tenant } = phase.identity;
    const { topic: given } = envelope.data;
    const topic = given as TopicName | undefined;
    if (topic === undefined) {
      if (!permissions.allows('broadcast', 'all'))
        return refuse('permission_denied', 'the token lacks broadcast:all');
    } else if (isReservedTopic(topic)) {
      return refuse('invalid_topic', `data.topic "${topic}" belongs to the server`);
    } else if (!permissions.allows('publish', topic)) {
      return refuse('permission_denied', `the token lacks publish:${topic}`);
    }
    const message = messageOf(userId, withKey(envelope));
    const requested = ctx.topics.publish(topicKey(tenant, topic ?? everyoneTopic), message, session);
    return settle(requested, { envelope }, (answer) =>
      acceptedReply(answer, topic === undefined ? {} : { topic }),
    );
  },

  finish(_live, { envelope }, answer) {
    const { topic } = envelope.data as { topic?: string };
    return acceptedReply(answer, topic === undefined ? {} : { topic });
  },
};
