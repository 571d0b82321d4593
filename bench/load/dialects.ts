/** How each server is spoken to: path, subscribe, publish. One small object per server; the load is the same for all. */
import { Packr } from 'msgpackr';
import { maskedFrame, opcodeBinary, RawWebSocket } from './raw-websocket.ts';

export interface Access {
  port: number;
  token: string;
  localAddress?: string;
  /** To take compressed frames. */
  offersDeflate?: boolean;
}

export interface Dialect {
  /** A connection that is ready to publish. */
  open: (access: Access) => Promise<RawWebSocket>;
  /** Resolves when the subscription is in force. */
  subscribe: (client: RawWebSocket, topic: string) => Promise<void>;
  /** Makes the client reachable as `user`; resolves when it is. */
  joinAs: (client: RawWebSocket, user: string) => Promise<void>;
  /** The frame that publishes `text`. */
  publication: (topic: string, text: string) => Buffer;
  /** The frame that sends `text` to one user. */
  direct: (user: string, text: string) => Buffer;
  /** Bytes of one message, for a server that puts several into one frame: then bytes are counted, not frames. */
  messageBytes?: (topic: string, payloadBytes: number) => number;
}

export type Encoding = 'json' | 'msgpack';

/** Where users are topics of their own name. */
function withUsersAsTopics(dialect: Omit<Dialect, 'joinAs' | 'direct'>): Dialect {
  return { ...dialect, joinAs: dialect.subscribe, direct: dialect.publication };
}

/** ws loop and uWebSockets: `+topic` subscribes, everything else is passed on as it is; its first word is the topic. */
const plain = withUsersAsTopics({
  open: ({ port, localAddress }) => RawWebSocket.open({ port, path: '/', ...addressOf(localAddress) }),
  async subscribe(client, topic) {
    const ok = client.next((payload) => payload === 'ok');
    client.send(maskedFrame(`+${topic}`));
    await ok;
  },
  publication: (topic, text) => maskedFrame(`${topic} ${text}`),
});

const packr = new Packr({ useRecords: false, variableMapSize: true });
const frameOf = {
  json: (envelope: object) => maskedFrame(JSON.stringify(envelope)),
  msgpack: (envelope: object) => maskedFrame(packr.pack(envelope), opcodeBinary),
} as const satisfies Record<Encoding, (envelope: object) => Buffer>;

/** Users are reachable by their token; messages without an id are not answered, as the peers do not either. */
const carillonIn = (encoding: Encoding): Dialect => ({
  async open({ port, token, localAddress, offersDeflate }) {
    const headers = {
      authorization: `Bearer ${token}`,
      'sec-websocket-protocol': `carillon.v1.${encoding}`,
      ...(offersDeflate ? { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' } : {}),
    };
    const client = await RawWebSocket.open({ port, path: '/ws', headers, ...addressOf(localAddress) });
    if (client.frameCount === 0) await client.next((payload) => payload.includes('Connect'));
    return client;
  },
  async subscribe(client, topic) {
    const ok = client.next((payload) => payload.includes('Status') && payload.includes('Subscribe'));
    client.send(frameOf[encoding]({ type: 'Subscribe', id: 's', data: { topic } }));
    await ok;
  },
  joinAs: () => Promise.resolve(),
  publication: (topic, text) => frameOf[encoding]({ type: 'Broadcast', data: { topic, payload: text } }),
  direct: (to, text) => frameOf[encoding]({ type: 'DirectMessage', data: { to, payload: text } }),
});

const socketIo = withUsersAsTopics({
  async open({ port, localAddress }) {
    const path = '/socket.io/?EIO=4&transport=websocket';
    const client = await RawWebSocket.open({ port, path, ...addressOf(localAddress) });
    if (client.frameCount === 0) await client.next((payload) => payload.startsWith('0'));
    const ok = client.next((payload) => payload.startsWith('40'));
    client.send(maskedFrame('40'));
    await ok;
    return client;
  },
  async subscribe(client, topic) {
    const ok = client.next((payload) => payload.startsWith('430'));
    client.send(maskedFrame(`420${JSON.stringify(['sub', topic])}`));
    await ok;
  },
  publication: (topic, text) => maskedFrame(`42${JSON.stringify(['pub', topic, text])}`),
});

/** NATS joins what waits for a client into one frame. Its own PINGs are shorter than any message and do not count. */
const nats = withUsersAsTopics({
  async open({ port, localAddress }) {
    const client = await RawWebSocket.open({ port, path: '/', ...addressOf(localAddress) });
    client.send(maskedFrame('CONNECT {"verbose":false,"pedantic":false}\r\n', opcodeBinary));
    return client;
  },
  async subscribe(client, topic) {
    const ok = client.next((payload) => payload.includes('PONG'));
    client.send(maskedFrame(`SUB ${topic} 1\r\nPING\r\n`, opcodeBinary));
    await ok;
  },
  publication: (topic, text) => maskedFrame(`PUB ${topic} ${text.length}\r\n${text}\r\n`, opcodeBinary),
  messageBytes: (topic, payloadBytes) => `MSG ${topic} 1 ${payloadBytes}\r\n\r\n`.length + payloadBytes,
});

const carillon = carillonIn('json');
const carillonMsgpack = carillonIn('msgpack');
const dialects = {
  carillon,
  'ws loop': plain,
  'ws moved': plain,
  uWebSockets: plain,
  'Socket.IO': socketIo,
  'Socket.IO cluster': socketIo,
  NATS: nats,
} as const;
export type ServerName = keyof typeof dialects;

/** `encoding` is a choice that only ours has. */
export function dialectOf(server: ServerName, encoding: Encoding = 'json'): Dialect {
  return server === 'carillon' && encoding === 'msgpack' ? carillonMsgpack : dialects[server];
}

function addressOf(localAddress: string | undefined): { localAddress?: string } {
  return localAddress === undefined ? {} : { localAddress };
}
