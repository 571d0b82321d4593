/** What an upgrade request asks for: encoding, token, origin. Pure; upgrade.ts acts on it. */
import { bearerSubprotocolPrefix, type Encoding, encodings, subprotocols } from '#proto/envelope.ts';

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
  encoding: Encoding;
  token: string | undefined;
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

function queryToken(searchParams: URLSearchParams): string | undefined {
  return searchParams.get('token') ?? undefined;
}
