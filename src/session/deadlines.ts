/**
 * The one timer of a session: the next time that something is due, whatever it is.
 * Pure; session.ts asks it when to look again and acts on what is due. One wheel entry per connection.
 */

import type { SessionLimits } from './ports.ts';
import type { SessionPhase } from './session-state.ts';

/** A client hears this long before its token ends, so that it can send a new one in `Auth`. Milliseconds. */
export const expiryNoticeMs = 30_000;

export type DueEvent =
  | 'auth_timeout'
  | 'heartbeat_timeout'
  | 'token_expired'
  | 'token_expiring'
  | 'attach'
  | 'ping';

export interface SessionTimes {
  nowMs: number;
  wallMs: number;
  lastHeardMs: number;
  lastPingMs: number;
  /** When to tell the user's home of the session again; Infinity: it knows. */
  attachAtMs: number;
}

/** What is due now, the most serious first; undefined: nothing yet. */
export function dueEvent(
  phase: SessionPhase,
  times: SessionTimes,
  limits: SessionLimits,
): DueEvent | undefined {
  if (phase.name === 'connecting' && times.nowMs >= phase.deadlineMs) return 'auth_timeout';
  if (times.nowMs - times.lastHeardMs >= limits.clientTimeoutMs) return 'heartbeat_timeout';
  if (phase.name === 'live') {
    if (times.wallMs >= phase.identity.expiresAtMs) return 'token_expired';
    if (!phase.isExpiryAnnounced && times.wallMs >= phase.identity.expiresAtMs - expiryNoticeMs)
      return 'token_expiring';
  }
  if (times.nowMs >= times.attachAtMs) return 'attach';
  if (times.nowMs - times.lastPingMs >= limits.heartbeatIntervalMs) return 'ping';
  return undefined;
}

/** When to look again, monotonic milliseconds; never in the past. */
export function nextDeadlineMs(phase: SessionPhase, times: SessionTimes, limits: SessionLimits): number {
  const candidates = [
    times.lastPingMs + limits.heartbeatIntervalMs,
    times.lastHeardMs + limits.clientTimeoutMs,
    times.attachAtMs,
  ];
  if (phase.name === 'connecting') candidates.push(phase.deadlineMs);
  if (phase.name === 'live') {
    const untilExpiryMs = phase.identity.expiresAtMs - times.wallMs;
    candidates.push(times.nowMs + untilExpiryMs - (phase.isExpiryAnnounced ? 0 : expiryNoticeMs));
  }
  return Math.max(times.nowMs + 1, Math.min(...candidates));
}
