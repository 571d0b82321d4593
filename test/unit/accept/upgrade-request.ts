/** Requests for a WebSocket, by hand: what a server answers before the handshake. */
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** One request on a connection of its own; 101 is closed at once. */
export function ask(
  url: string,
  path: string,
  headers: Record<string, string | string[]> = upgrade,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(`http://${url}${path}`, { headers, agent: false });
    sent.on('error', reject);
    sent.on('upgrade', ({ headers: answered }, socket) => {
      socket.destroy();
      resolve({ status: 101, headers: answered, body: '' });
    });
    sent.on('response', (response: IncomingMessage) => {
      let body = '';
      response.on('data', (bytes: Buffer) => (body += bytes.toString()));
      response.on('end', () =>
        resolve({ status: response.statusCode as number, headers: response.headers, body }),
      );
    });
    sent.end();
  });
}
