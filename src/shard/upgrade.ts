/**
 * HTTP upgrade → WebSocket → session. With served-websocket.ts and websocket-transport.ts the importer of ws.
 * Thread: shard. Called by the HTTP server for each upgrade request, on a socket that socket-intake.ts adopted.
 * Refusals before the handshake are HTTP; a bad token lets it finish and closes with 4500, because a browser cannot
 * read an HTTP status here (protocol section 1).
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Server, WebSocketServer } from 'ws';
import { Networks, normalAddress } from '#kit/address.ts';
import { closeCodes } from '#proto/close-codes.ts';
import type { AdmissionVerdict } from '#proto/control.ts';
import { subprotocols } from '#proto/envelope.ts';
import { batchMsMax } from '#proto/limits.ts';
import type { SessionId } from '#proto/names.ts';
import type { TokenVerdict, TokenVerifier } from '../auth/verify-token.ts';
import type { Config } from '../config/load-config.ts';
import type { MetricsRow } from '../observe/metrics-table.ts';
import type { SessionContext } from '../session/ports.ts';
import { Session } from '../session/session.ts';
import { deflateWindowBits } from '../wire/deflate-frame.ts';
import { clientAddress } from './client-address.ts';
import { ForwardedClients } from './forwarded-clients.ts';
import { type Handshake, type HandshakeRequest, isOriginAllowed, readHandshake } from './handshake.ts';
import { ServedWebSocket } from './served-websocket.ts';
import type { SessionTable } from './session-table.ts';
import { closeTimeoutMs, WebSocketTransport } from './websocket-transport.ts';

export interface UpgradeContext {
  config: Config;
  metrics: MetricsRow;
  tokens: TokenVerifier;
  sessions: SessionTable;
  sessionContext: SessionContext;
  newSessionId(): SessionId;
  /** What admission said of this socket when it was accepted. */
  verdictOf(socket: Duplex): AdmissionVerdict;
  /** The socket is a WebSocket from here on. */
  onUpgraded(socket: Duplex): void;
  isDraining(): boolean;
}

type RefusalReason = 'origin' | 'batch' | 'path' | 'too_fast' | 'too_many_from_address' | 'full' | 'draining';

const refusals: Record<RefusalReason, { status: number; retryAfterSeconds?: number }> = {
  origin: { status: 403 },
  path: { status: 404 },
  batch: { status: 400 },
  too_fast: { status: 429, retryAfterSeconds: 1 },
  too_many_from_address: { status: 429, retryAfterSeconds: 10 },
  full: { status: 503, retryAfterSeconds: 5 },
  draining: { status: 503, retryAfterSeconds: 2 },
};

/**
 * One window for all clients, and nothing kept between messages: what is sent is compressed once for all of them
 * (wire/deflate-frame.ts); what arrives is inflated by ws, which holds it against `maxPayload`.
 */
const deflateOptions = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: deflateWindowBits,
  concurrencyLimit: 10,
};

const explanations: Partial<Record<RefusalReason, string>> = {
  batch: `batch is a time like 100ms, at most ${batchMsMax}ms`,
};

export class Upgrade {
  readonly #ctx: UpgradeContext;
  readonly #server: Server<typeof ServedWebSocket>;
  readonly #trustedProxies: Networks;
  readonly #forwarded: ForwardedClients;

  constructor(ctx: UpgradeContext) {
    this.#ctx = ctx;
    this.#trustedProxies = new Networks(ctx.config.trustProxy);
    this.#forwarded = new ForwardedClients(ctx.config, ctx.sessionContext.clock);
    this.#server = new WebSocketServer<typeof ServedWebSocket>({
      WebSocket: ServedWebSocket,
      noServer: true,
      clientTracking: false,
      maxPayload: ctx.config.messageBytesMax,
      perMessageDeflate: ctx.config.deflate && deflateOptions,
      // Small: a client has no reason for more (reliability reference, section 2 rows 9 and 10).
      maxFragments: 64,
      maxBufferedChunks: 4096,
      maxPendingAutoPongs: 60,
      closeTimeout: closeTimeoutMs,
      // Only ever ours: ws by itself would echo the first entry, which may be a token.
      handleProtocols: (offered) => Object.values(subprotocols).find((name) => offered.has(name)) ?? false,
    });
  }

  /** The 'upgrade' event of the HTTP server. */
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', destroyIt); // a reset during the handshake is the client's affair
    const asked = requestOf(request);
    const handshake = readHandshake(asked, this.#ctx.config.authQueryToken);
    const forwarded = this.#forwardedAddress(request);
    const reason = this.#refusalOf(asked, handshake, forwarded, socket);
    if (reason !== undefined) return this.#refuse(socket, reason);
    declineSmallWindows(request);
    socket.cork();
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('error', destroyIt); // ws listens from here on
      this.#ctx.onUpgraded(socket);
      if (forwarded !== undefined) this.#countForwarded(webSocket, forwarded);
      this.#begin(webSocket, socket, handshake);
    });
    // After the session's own request, so that the response and its first frame leave in one write.
    this.#ctx.sessionContext.schedule.requestWrite({ write: () => socket.uncork() });
  }

  #refusalOf(
    asked: HandshakeRequest,
    { path, batchMs }: Handshake,
    forwarded: string | undefined,
    socket: Duplex,
  ): RefusalReason | undefined {
    if (path !== '/ws') return 'path';
    if (batchMs === 'wrong') return 'batch';
    if (this.#ctx.isDraining()) return 'draining';
    const verdict = this.#ctx.verdictOf(socket);
    if (verdict !== 'admitted') return verdict;
    const forwardedVerdict = forwarded === undefined ? 'admitted' : this.#forwarded.judge(forwarded);
    if (forwardedVerdict !== 'admitted') return forwardedVerdict;
    return isOriginAllowed(asked, this.#ctx.config.allowedOrigins) ? undefined : 'origin';
  }

  /** The client behind a trusted proxy; undefined for direct peers, which admission has judged in the primary. */
  #forwardedAddress(request: IncomingMessage): string | undefined {
    if (this.#trustedProxies.isEmpty) return undefined;
    const peer = normalAddress(request.socket.remoteAddress ?? '');
    if (!this.#trustedProxies.has(peer)) return undefined;
    return clientAddress(peer, headerText(request.headers['x-forwarded-for']), this.#trustedProxies);
  }

  #refuse(socket: Duplex, reason: RefusalReason): void {
    this.#ctx.metrics.addTo('connectionsRefused', reason);
    const { status, retryAfterSeconds } = refusals[reason];
    const body = JSON.stringify({
      error: {
        code: reason,
        message: `the upgrade was refused: ${explanations[reason] ?? reason}`,
        retryable: retryAfterSeconds !== undefined,
      },
    });
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${body.length}\r\n${retryAfterSeconds === undefined ? '' : `Retry-After: ${retryAfterSeconds}\r\n`}\r\n${body}`,
    );
    // Not only ended: a client that keeps its side open would keep its place in admission's count as well.
    (socket as Socket).destroySoon();
  }

  #countForwarded(webSocket: ServedWebSocket, address: string): void {
    this.#forwarded.onOpened(address);
    webSocket.once('close', () => this.#forwarded.onClosed(address));
  }

  #begin(webSocket: ServedWebSocket, socket: Duplex, { encoding, token, batchMs }: Handshake): void {
    const verdict = token === undefined ? undefined : this.#ctx.tokens.verify(token);
    if (verdict?.ok === false) return this.#rejectToken(webSocket, verdict);
    const { sessions, sessionContext } = this.#ctx;
    const transport = new WebSocketTransport(webSocket, socket);
    const session = new Session(
      this.#ctx.newSessionId(),
      webSocket.extensions === '' ? encoding : `${encoding}+deflate`,
      transport,
      sessionContext,
      batchMs === 'wrong' ? 0 : batchMs,
    );
    sessions.add(session);
    transport.serve(session, encoding === 'msgpack', sessionContext.schedule);
    if (verdict !== undefined) session.authenticate(verdict.identity);
  }

  #rejectToken(webSocket: ServedWebSocket, verdict: TokenVerdict & { ok: false }): void {
    this.#ctx.metrics.addTo('connectionsRefused', 'unauthorized');
    const { code, reason } = closeCodes.unauthorized;
    webSocket.close(code, `${reason}: ${verdict.refusal.message}`);
  }
}

/** One function for all sockets, which keeps nothing of a handshake alive. */
function destroyIt(this: Duplex): void {
  this.destroy();
}

/** An offer with a smaller window than ours goes on uncompressed; ws would refuse the whole handshake. */
function declineSmallWindows(request: IncomingMessage): void {
  const offer = request.headers['sec-websocket-extensions'];
  const bits = Number(/server_max_window_bits="?(\d+)/.exec(offer ?? '')?.[1] ?? deflateWindowBits);
  if (bits < deflateWindowBits) delete request.headers['sec-websocket-extensions'];
}

function requestOf(request: IncomingMessage): HandshakeRequest {
  return {
    url: request.url ?? '/',
    host: request.headers.host,
    origin: request.headers.origin,
    authorization: request.headers.authorization,
    protocol: headerText(request.headers['sec-websocket-protocol']),
  };
}

function headerText(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(',') : header;
}
