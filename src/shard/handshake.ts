/** What an upgrade request asks for: encoding, token, origin. Pure; upgrade.ts acts on it. */
import { parseDuration } from '#kit/duration.ts';
import { bearerSubprotocolPrefix, encodings, type PlainEncoding, subprotocols } from '#proto/envelope.ts';
import { batchMsMax } from '#proto/limits.ts';

export interface HandshakeRequest {
  /** Path and query as sent. */
  url: string;
  host: string | undefined;
  origin: string | undefined;
  authorization: string | undefined;
  /** Value of Sec-WebSocket-Protocol. */
  protocol: string | undefined;
}

export interface Handshake {
  path: string;
  encoding: PlainEncoding;
  token: string | undefined;
  /** `?batch=`: frames may wait for each other so long, milliseconds; 'wrong' when it is no such time. */
  batchMs: number | 'wrong';
}

/** Never throws; `isQueryTokenAllowed` is AUTH_QUERY_TOKEN. */
export function readHandshake(request: HandshakeRequest, isQueryTokenAllowed: boolean): Handshake {
  const { pathname, searchParams } =
    URL.parse(request.url.replace(/^\/+/, '/'), 'http://server') ?? unreadable;
  const offered = (request.protocol ?? '').split(',').map((entry) => entry.trim());
  const bySubprotocol = encodings.find((encoding) => offered.includes(subprotocols[encoding]));
  const byQuery = encodings.find((encoding) => encoding === searchParams.get('encoding'));
  return {
    path: pathname,
    encoding: bySubprotocol ?? byQuery ?? 'json',
    batchMs: batchOf(searchParams.get('batch')),
    token:
      bearerHeader(request.authorization) ??
      bearerEntry(offered) ??
      (isQueryTokenAllowed ? queryToken(searchParams) : undefined),
  };
}

/** A request target that is no URL is a path that there is not. */
const unreadable = { pathname: '', searchParams: new URLSearchParams() };

/** Browsers send Origin; other programs need not. Exact match: no suffixes, no patterns, and the own origin always. */
export function isOriginAllowed(
  { origin, host }: HandshakeRequest,
  allowedOrigins: readonly string[],
): boolean {
  if (origin === undefined) return true;
  if (allowedOrigins.includes('*') || allowedOrigins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

export function bearerHeader(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}

function bearerEntry(offered: string[]): string | undefined {
  const entry = offered.find((candidate) => candidate.startsWith(bearerSubprotocolPrefix));
  return entry?.slice(bearerSubprotocolPrefix.length);
}

/** `100ms`, `1s`. */
function batchOf(text: string | null): number | 'wrong' {
  if (text === null) return 0;
  const batchMs = /^\d{1,6}(ms|s)$/.test(text) ? parseDuration(text) : undefined;
  return batchMs === undefined || batchMs > batchMsMax ? 'wrong' : batchMs;
}

function queryToken(searchParams: URLSearchParams): string | undefined {
  return searchParams.get('token') ?? undefined;
}
