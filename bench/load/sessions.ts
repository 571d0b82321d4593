/** Sessions with our server, for loads that need more than messages: what `Connect` said, and answers to commands. */
import type { Position } from '../../src/wire/message.ts';
import { maskedFrame, RawWebSocket } from './raw-websocket.ts';

export interface Door {
  port: number;
  token: string;
  localAddress?: string;
}

/** Of `Connect`. */
export interface Connected {
  sessionId: string;
  resumeToken: string;
  shard: number;
  userId: string;
  inbox?: Position;
}

export interface OpenSession {
  socket: RawWebSocket;
  connected: Connected;
}

interface Envelope {
  type: string;
  id?: string;
  data: unknown;
}

/** Resolves with its `Connect`; rejects when the connection is refused, or ends before. */
export async function openSession({ port, token, localAddress }: Door): Promise<OpenSession> {
  const first = Promise.withResolvers<Connected>();
  const socket = await RawWebSocket.open({
    ...{ port, path: '/ws', ...(localAddress === undefined ? {} : { localAddress }) },
    headers: { authorization: `Bearer ${token}`, 'sec-websocket-protocol': 'carillon.v1.json' },
    onPayload: (payload) => first.resolve(envelopeOf(payload).data as Connected),
  });
  socket.onClosed = () => first.reject(new Error('closed before Connect'));
  const connected = await first.promise;
  socket.onPayload = undefined;
  socket.onClosed = undefined;
  return { socket, connected };
}

let askedCount = 0;

/** Sends a command and resolves with its answer; what else arrives goes to whoever reads. One at a time on a socket. */
export async function ask(socket: RawWebSocket, type: string, data: object): Promise<Envelope> {
  const id = `asked-${++askedCount}`;
  const answer = socket.next((payload) => payload.includes(`"${id}"`));
  socket.send(maskedFrame(JSON.stringify({ type, id, data })));
  return envelopeOf(await answer);
}

/** As `ask`, where everything but a `Status` is the end. */
export async function command<Answer>(socket: RawWebSocket, type: string, data: object): Promise<Answer> {
  const answer = await ask(socket, type, data);
  if (answer.type !== 'Status') throw new Error(`${type} was answered by ${JSON.stringify(answer)}`);
  return answer.data as Answer;
}

export function frameOf(type: string, data: object): Buffer {
  return maskedFrame(JSON.stringify({ type, data }));
}

export function envelopeOf(payload: Buffer | string): Envelope {
  return JSON.parse(payload.toString()) as Envelope;
}
