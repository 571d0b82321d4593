/** `Ping`: the same data back, for clients that want to measure or cannot see WebSocket pings. */
import type { Handler } from '../outcome.ts';

export const ping: Handler<'Ping'> = {
  handle: (_live, { data }) => ({ do: 'pong', data }),
};
