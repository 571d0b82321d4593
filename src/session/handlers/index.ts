/** One handler per client type: total by construction, a new type without a handler does not compile. */
import type { ClientType } from '#proto/data.ts';
import type { Handler } from '../outcome.ts';
import { auth } from './auth.ts';
import { broadcast } from './broadcast.ts';
import { directMessage } from './direct-message.ts';
import { history } from './history.ts';
import { ping } from './ping.ts';
import { subscribe } from './subscribe.ts';
import { unsubscribe } from './unsubscribe.ts';

export const sessionHandlers = {
  Auth: auth,
  Ping: ping,
  Subscribe: subscribe,
  Unsubscribe: unsubscribe,
  Broadcast: broadcast,
  DirectMessage: directMessage,
  History: history,
} satisfies { [Type in ClientType]: Handler<Type> };
