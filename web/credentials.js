/** Where tokens come from: `/demo/token` for a name, or what somebody pasted. Kept in memory only. */

export class CredentialsError extends Error {
  /** Trying again later will not help. */
  isFinal;
  /** This server signs no tokens for names. */
  isUnsupported;

  constructor(message, { isFinal = false, isUnsupported = false } = {}) {
    super(message);
    this.isFinal = isFinal;
    this.isUnsupported = isUnsupported;
  }
}

/** Longest wait for a token, milliseconds. */
const timeoutMs = 10_000;

export function credentialsOfName(name) {
  let token;
  return {
    canRenew: true,
    async token() {
      token ??= await fetchToken(name);
      return token;
    },
    /** The token is no good any more: the next one will be a new one. */
    expire() {
      token = undefined;
    },
  };
}

export function credentialsOfToken(token) {
  let isExpired = false;
  return {
    canRenew: false,
    async token() {
      if (isExpired)
        throw new CredentialsError('Your token has expired. Paste a new one.', { isFinal: true });
      return token;
    },
    expire() {
      isExpired = true;
    },
  };
}

async function fetchToken(name) {
  let response;
  let body;
  try {
    response = await fetch('/demo/token', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    body = await response.json();
  } catch {
    throw new CredentialsError('The server does not answer. Is it running?');
  }
  if (response.ok) return body.token;
  if (response.status === 404) {
    const message = 'This server signs no tokens for names. Paste one that it accepts.';
    throw new CredentialsError(message, { isFinal: true, isUnsupported: true });
  }
  const isFinal = response.status < 500 && response.status !== 429;
  throw new CredentialsError(body.error?.message ?? `The server answered ${response.status}.`, { isFinal });
}
