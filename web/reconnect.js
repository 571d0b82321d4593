/** Whether and when to connect again (protocol section 8). Pure. */

/** Half of this is the mean wait before the first try, milliseconds; it doubles with each try that failed. */
const delayMinMs = 500;
const delayMaxMs = 20_000;
/** A connection that held this long starts the series anew, milliseconds. */
export const stableAfterMs = 5_000;
/** The server or the way to it is gone: codes of RFC 6455. 4000..4499 are the server's own. */
const passingCodes = new Set([1001, 1006, 1011, 1012, 1013]);

export const tokenExpiredCode = 4006;

export function mayReconnect(code) {
  return (code >= 4000 && code <= 4499) || passingCodes.has(code);
}

/** Full jitter: anything from 0 to the bound, so that clients that lost the same server do not return as one. */
export function backoffMs(attempt) {
  return Math.random() * Math.min(delayMaxMs, delayMinMs * 2 ** attempt);
}
