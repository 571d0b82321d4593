/** Addresses as they are compared and counted. */
import { BlockList, isIP } from 'node:net';

/** IPv4 inside IPv6 as IPv4, as a dual-stack listener sees it: `::ffff:127.0.0.1` is `127.0.0.1`. */
export function normalAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice('::ffff:'.length) : address;
}

/** Is it an address, or a network like `10.0.0.0/8`? */
export function isNetwork(text: string): boolean {
  const { address, prefixBits } = parseNetwork(text);
  const family = isIP(address);
  return family !== 0 && Number.isInteger(prefixBits) && prefixBits <= (family === 4 ? 32 : 128);
}

/** A set of addresses and networks. */
export class Networks {
  readonly #list = new BlockList();
  readonly isEmpty: boolean;

  /** Each of `entries` passes `isNetwork`. */
  constructor(entries: readonly string[]) {
    this.isEmpty = entries.length === 0;
    for (const entry of entries) {
      const { address, prefixBits } = parseNetwork(entry);
      this.#list.addSubnet(address, prefixBits, familyOf(address));
    }
  }

  /** What is no address is in no network. */
  has(address: string): boolean {
    if (this.isEmpty || isIP(address) === 0) return false;
    return this.#list.check(address, familyOf(address));
  }
}

function parseNetwork(text: string): { address: string; prefixBits: number } {
  const [address = '', prefix, ...rest] = text.split('/');
  if (prefix === undefined) return { address, prefixBits: isIP(address) === 6 ? 128 : 32 };
  return { address, prefixBits: rest.length === 0 && /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
