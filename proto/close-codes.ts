/**
 * Every code that a connection can close with. Append-only.
 * The range says what a client does: 4000..4499 reconnect (with jitter), 4500..4999 do not.
 */

interface CloseRow {
  code: number;
  /** Sent as the close reason; at most 123 bytes. */
  reason: string;
  reconnect: boolean;
  when: string;
}

export const closeCodes = {
  going_away: {
    code: 4000,
    reason: 'going_away',
    reconnect: true,
    when: 'drain or restart; a `System draining` came before',
  },
  shard_restart: {
    code: 4001,
    reason: 'shard_restart',
    reconnect: true,
    when: 'the shard of this connection failed',
  },
  slow_consumer: {
    code: 4002,
    reason: 'slow_consumer',
    reconnect: true,
    when: 'the outgoing queue passed its limit; resume and recover',
  },
  heartbeat_timeout: {
    code: 4003,
    reason: 'heartbeat_timeout',
    reconnect: true,
    when: 'nothing was heard for too long',
  },
  overloaded: { code: 4004, reason: 'overloaded', reconnect: true, when: 'the server sheds load' },
  rate_limited: { code: 4005, reason: 'rate_limited', reconnect: true, when: 'kept breaking limits' },
  token_expired: { code: 4006, reason: 'token_expired', reconnect: true, when: 'reconnect with a new token' },
  internal: {
    code: 4007,
    reason: 'internal',
    reconnect: true,
    when: 'a bug ended this session; an `Error internal` came before',
  },
  unauthorized: {
    code: 4500,
    reason: 'unauthorized',
    reconnect: false,
    when: 'no token in time, or not a valid one',
  },
  disconnected: {
    code: 4501,
    reason: 'disconnected',
    reconnect: false,
    when: 'by an administrator, a revocation or a limit',
  },
  protocol_error: {
    code: 4502,
    reason: 'protocol_error',
    reconnect: false,
    when: 'too many frames that are no envelopes',
  },
  replaced: {
    code: 4503,
    reason: 'replaced',
    reconnect: false,
    when: 'the session was resumed on another connection',
  },
  protocol_violation: {
    code: 1002,
    reason: 'protocol_violation',
    reconnect: false,
    when: 'RFC 6455: broken framing',
  },
  unsupported_data: {
    code: 1003,
    reason: 'unsupported_data',
    reconnect: false,
    when: 'a text frame from a msgpack client, or a binary one from a JSON client',
  },
  invalid_utf8: {
    code: 1007,
    reason: 'invalid_utf8',
    reconnect: false,
    when: 'RFC 6455: a text frame that is not UTF-8',
  },
  too_large: { code: 1009, reason: 'too_large', reconnect: false, when: 'a frame over `MAX_MESSAGE_BYTES`' },
} as const satisfies Record<string, CloseRow>;

export type CloseName = keyof typeof closeCodes;
