/** Addresses as they are compared and counted. */

/** IPv4 inside IPv6 as IPv4, as a dual-stack listener sees it: `::ffff:127.0.0.1` is `127.0.0.1`. */
export function normalAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}
