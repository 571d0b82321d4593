/** How each server is spoken to: path, subscribe, publish. One small object per server; the load is the same for all. */
import { RawWebSocket } from './raw-websocket.ts';

export interface Dialect {
  /** A connection that is ready to publish. */
  open(port: number, token: string): Promise<RawWebSocket>;
  /** Resolves when the subscription is in force. */
  subscribe(client: RawWebSocket, topic: string): Promise<void>;
  /** The frame that publishes `text`. */
  publication(topic: string, text: string): string;
}

const plain: Dialect = {
  open: (port) => RawWebSocket.open({ port, path: '/' }),
  async subscribe(client) {
    const ok = client.next((payload) => payload === 'ok');
    client.send('sub');
    await ok;
  },
  publication: (_topic, text) => text,
};

const carillon: Dialect = {
  async open(port, token) {
    const headers = { authorization: `Bearer ${token}`, 'sec-websocket-protocol': 'carillon.v1.json' };
    const client = await RawWebSocket.open({ port, path: '/ws', headers });
    if (client.frameCount === 0) await client.next((payload) => payload.includes('"op":"Connect"'));
    return client;
  },
  async subscribe(client, topic) {
    const ok = client.next((payload) => payload.includes('"op":"Subscribe"'));
    client.send(JSON.stringify({ type: 'Subscribe', id: 's', data: { topic } }));
    await ok;
  },
  publication: (topic, text) => JSON.stringify({ type: 'Broadcast', data: { topic, payload: text } }),
};

const socketIo: Dialect = {
  async open(port) {
    const client = await RawWebSocket.open({ port, path: '/socket.io/?EIO=4&transport=websocket' });
    if (client.frameCount === 0) await client.next((payload) => payload.startsWith('0'));
    const ok = client.next((payload) => payload.startsWith('40'));
    client.send('40');
    await ok;
    return client;
  },
  async subscribe(client, topic) {
    const ok = client.next((payload) => payload.startsWith('430'));
    client.send(`420${JSON.stringify(['sub', topic])}`);
    await ok;
  },
  publication: (_topic, text) => `42${JSON.stringify(['pub', text])}`,
};

export const dialects = { carillon, 'ws loop': plain, uWebSockets: plain, 'Socket.IO': socketIo } as const;
export type ServerName = keyof typeof dialects;
