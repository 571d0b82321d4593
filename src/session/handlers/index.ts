/** One handler per client type: total by construction, a new type without a handler does not compile. */
import type { ClientType } from '#proto/data.ts';
import type { Handler } from '../outcome.ts';
import { edit, remove } from './amend.ts';
import { auth } from './auth.ts';
import { broadcast } from './broadcast.ts';
import { deliveryStatus } from './delivery-status.ts';
import { directMessage } from './direct-message.ts';
import { history } from './history.ts';
import { ack, read } from './mark.ts';
import { ping } from './ping.ts';
import { presence } from './presence.ts';
import { presenceQuery, presenceSubscribe, presenceUnsubscribe } from './presence-watch.ts';
import { resume } from './resume.ts';
import { search } from './search.ts';
import { subscribe } from './subscribe.ts';
import { typing } from './typing.ts';
import { unsubscribe } from './unsubscribe.ts';

export const sessionHandlers = {
  Auth: auth,
  Resume: resume,
  Ping: ping,
  Subscribe: subscribe,
  Unsubscribe: unsubscribe,
  Broadcast: broadcast,
  DirectMessage: directMessage,
  Typing: typing,
  Presence: presence,
  PresenceSubscribe: presenceSubscribe,
  PresenceUnsubscribe: presenceUnsubscribe,
  PresenceQuery: presenceQuery,
  History: history,
  Search: search,
  Edit: edit,
  Delete: remove,
  Ack: ack,
  Read: read,
  DeliveryStatus: deliveryStatus,
} satisfies { [Type in ClientType]: Handler<Type> };
