/**
 * An address of this machine that no earlier load had: ports of ended connections stay taken for a minute, and looking
 * for a free one among them made handshakes four to eight times slower from one server to the next.
 */
let addressCount = 0;

export function freshAddress(): string {
  addressCount++;
  return `127.1.${addressCount >> 8}.${addressCount & 255}`;
}
