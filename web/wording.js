/** Error codes, close codes and phases in words. Pure. */

const errorTexts = {
  busy: 'The server is busy right now.',
  permission_denied: 'Not allowed:',
  invalid_topic: 'Not a topic that can be used:',
  limit_exceeded: 'A limit is reached:',
  message_too_large: 'The message is too long for this server.',
  store_unavailable: 'The server cannot store anything right now.',
  bus_unavailable: 'The server cannot reach its other nodes right now.',
  internal: 'Something went wrong inside the server:',
};

/** What an `Error` reply says to a person. Texts that end with a colon are completed by the server's own words. */
export function errorWords({ code, message, retryAfterMs }) {
  if (code === 'rate_limited') {
    return `Too fast: the server asks for a pause of ${secondsOf(retryAfterMs ?? 1000)}.`;
  }
  const text = errorTexts[code];
  if (text === undefined) return sentence(message);
  return text.endsWith(':') ? `${text} ${message}.` : text;
}

const closeTexts = {
  1001: 'the server went away',
  1002: 'the browser and the server did not understand each other',
  1003: 'the server did not accept the kind of data',
  1006: 'the server cannot be reached',
  1007: 'the browser and the server did not understand each other',
  1009: 'a message was too long for this server',
  1011: 'the server had a problem',
  1012: 'the server restarts',
  1013: 'the server is overloaded',
  4000: 'the server restarts',
  4001: 'the shard failed and restarts',
  4002: 'this browser read too slowly',
  4003: 'nothing was heard for too long',
  4004: 'the server is overloaded',
  4005: 'limits were passed too often',
  4006: 'the token expired',
  4007: 'the server had a problem',
  4500: 'the token was not accepted',
  4501: 'the server ended the connection',
  4502: 'the browser and the server did not understand each other',
  4503: 'the session goes on elsewhere',
};

/** Why a connection ended, without a full stop. */
export function closeWords({ code, reason, detail }) {
  const text = closeTexts[code] ?? (code === undefined ? undefined : `closed with code ${code}`);
  // The server's reason is the code's name, and after a colon what happened.
  const more = detail ?? /: (.+)$/.exec(reason ?? '')?.[1];
  if (text === undefined) return (more ?? 'unknown').replace(/\.$/, '');
  return more === undefined ? text : `${text} (${more.replace(/\.$/, '')})`;
}

/** What stays after a connection was lost. */
export function lostWords(why) {
  return why.code === 1006 ? 'Connection lost.' : `Connection lost: ${closeWords(why)}.`;
}

/** Who is writing; undefined when nobody is. */
export function typingWords(typists) {
  const [one, other] = typists;
  if (typists.length > 2) return 'Several people are typing…';
  if (other !== undefined) return `${one} and ${other} are typing…`;
  return one === undefined ? undefined : `${one} is typing…`;
}

function secondsOf(ms) {
  const seconds = Math.max(1, Math.ceil(ms / 1000));
  return seconds === 1 ? '1 second' : `${seconds} seconds`;
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
