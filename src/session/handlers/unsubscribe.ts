/** `Unsubscribe`: nothing of the topic is delivered after the reply. */
import type { TopicName } from '#proto/names.ts';
import { type Handler, refuse } from '../outcome.ts';
import { endSubscription } from '../subscriptions.ts';

export const unsubscribe: Handler<'Unsubscribe'> = {
  handle({ session, phase }, { data }, ctx) {
    const topic = data.topic as TopicName;
    const subscription = phase.subscriptions.get(topic);
    if (subscription === undefined)
      return refuse('not_subscribed', `data.topic "${topic}" is not subscribed`);
    session.commands.answerEarly(subscription);
    phase.subscriptions.delete(topic);
    endSubscription(subscription, session, phase.identity.userId, false, ctx);
    session.tellSoon();
    return { do: 'reply', data: { topic } };
  },
};
