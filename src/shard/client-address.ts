/** Who is calling: the peer, or what a trusted proxy says. Pure. */
import { type Networks, normalAddress } from '#kit/address.ts';

/**
 * The last address that no trusted proxy vouches for: X-Forwarded-For is read from the right, past the trusted ones,
 * because everything further left can be made up by the client.
 */
export function clientAddress(
  peer: string,
  forwardedFor: string | undefined,
  trustedProxies: Networks,
): string {
  let address = normalAddress(peer);
  const hops = (forwardedFor ?? '')
    .split(',')
    .map((hop) => hop.trim())
    .filter((hop) => hop !== '');
  while (hops.length > 0 && trustedProxies.has(address)) address = normalAddress(hops.pop() as string);
  return address;
}
