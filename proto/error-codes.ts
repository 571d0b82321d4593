/** Every code that `Error.data.code` and the HTTP API's errors can carry. Append-only. */

interface ErrorRow {
  /** May the client send the same command again, later, and hope? */
  retryable: boolean;
  /** HTTP status of the same refusal on the REST API. */
  status: number;
  /** When it is sent; the protocol reference is generated from it. */
  when: string;
}

export const errorCodes = {
  bad_request: { retryable: false, status: 400, when: 'a field is missing or wrong; the message names it' },
  unknown_type: { retryable: false, status: 400, when: 'the envelope type is not one of this server' },
  message_too_large: { retryable: false, status: 413, when: 'the message is larger than the server takes' },
  invalid_topic: {
    retryable: false,
    status: 400,
    when: 'the topic name is malformed or reserved for the server',
  },
  invalid_filter: {
    retryable: false,
    status: 400,
    when: 'the filter is malformed; the message names the condition',
  },
  unauthorized: { retryable: false, status: 401, when: 'no token yet, or not a valid one' },
  permission_denied: {
    retryable: false,
    status: 403,
    when: 'the token does not allow it; the message names what is missing',
  },
  not_found: { retryable: false, status: 404, when: 'there is no such thing' },
  key_conflict: {
    retryable: false,
    status: 409,
    when: 'the idempotency key was used before with another body',
  },
  not_subscribed: { retryable: false, status: 409, when: 'the session is not subscribed to the topic' },
  already_subscribed: {
    retryable: false,
    status: 409,
    when: 'the session is subscribed to the topic already',
  },
  limit_exceeded: {
    retryable: false,
    status: 409,
    when: 'a limit that does not pass with time; the message names it',
  },
  rate_limited: { retryable: true, status: 429, when: 'too fast; `retryAfterMs` says when to go on' },
  busy: {
    retryable: true,
    status: 503,
    when: 'a bounded queue of the server is full and nothing was accepted; or the shard that should have answered died, which the message says: what became of the command is not known then',
  },
  store_unavailable: {
    retryable: true,
    status: 503,
    when: 'the store is down and its breaker open; nothing was stored',
  },
  bus_unavailable: {
    retryable: true,
    status: 503,
    when: 'the bus between nodes is down and its breaker open',
  },
  resume_failed: {
    retryable: false,
    status: 409,
    when: 'unknown or expired session, or wrong token: subscribe anew',
  },
  internal: {
    retryable: true,
    status: 500,
    when: 'a bug; the message carries a correlation id, never a stack',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorCodes;

/** A refusal as a value: what handlers, actors and the REST API answer instead of throwing. */
export interface Refusal {
  code: ErrorCode;
  message: string;
  retryAfterMs?: number;
}

export function refusal(code: ErrorCode, message: string, retryAfterMs?: number): Refusal {
  return retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs };
}
