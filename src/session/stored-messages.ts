/** Messages as they are stored → as replies show them. Pure. Called by the handlers of `History` and `Search`, and by REST. */
import type { Encoding } from '#proto/envelope.ts';
import { type TopicName, userOfInbox } from '#proto/names.ts';
import { receiverOf } from '../log/replay.ts';
import type { StoredMessage } from '../store/history-store.ts';
import { Payload } from '../wire/payload.ts';

export function shownMessage(topic: TopicName, message: StoredMessage, encoding: Encoding): object {
  const { messageId, offset, from, event, priority, payload, timestampMs, editedAtMs, deletedAtMs } = message;
  const owner = userOfInbox(topic);
  return {
    id: messageId,
    offset,
    from,
    ...(owner === undefined ? {} : { to: receiverOf(owner, message) }),
    ...(event === undefined ? {} : { event }),
    ...(priority === undefined ? {} : { priority }),
    payload: Payload.ofMsgpack(payload).valueFor(encoding),
    timestamp: timestampMs,
    ...(editedAtMs === undefined ? {} : { editedAt: editedAtMs }),
    ...(deletedAtMs === undefined ? {} : { deletedAt: deletedAtMs }),
  };
}
