/**
 * How records lie in a ring: a length word, a type word, the content, padding to 8 bytes.
 *
 *   +----------------+----------------+----------------------------+---------+
 *   | length (int32) | type (int32)   | content (`length` bytes)   | 0..7    |
 *   +----------------+----------------+----------------------------+---------+
 *
 * A record never wraps: where it would, a padding record fills the rest and it starts at index 0.
 */
export const lengthWordOffset = 0;
export const typeWordOffset = 1;
/** Bytes in front of the content. */
export const prefixBytes = 8;
export const typeContent = 1;
export const typePadding = 2;

/** Bytes that a record of this content takes in the ring. */
export function alignedRecordBytes(contentBytes: number): number {
  return (prefixBytes + contentBytes + 7) & ~7;
}
