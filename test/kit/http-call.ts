/** Calls of the HTTP API of a test server. */

export interface HttpAnswer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
  json: any;
}

/** POSTs `body`, text as it is and everything else as JSON, with a key or token. */
export async function post(
  url: string,
  path: string,
  body: unknown,
  credential: string,
): Promise<HttpAnswer> {
  const response = await fetch(`http://${url}/api/v1/${path}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/json', authorization: `Bearer ${credential}` },
  });
  return { status: response.status, headers: response.headers, json: await response.json() };
}
