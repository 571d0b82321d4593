/**
 * How values of the seam are written in PostgreSQL, and read again.
 * Pure. Used by everything in this folder that speaks SQL.
 */
import { types } from 'pg';

/** For `pg`'s `types`: offsets are numbers, and bytes are theirs alone (a Buffer may be a slice of a shared one). */
export const typeParsers: { getTypeParser: typeof types.getTypeParser } = {
  getTypeParser: ((oid: Parameters<typeof types.getTypeParser>[0], format?: 'text' | 'binary') => {
    if (oid === types.builtins.INT8) return Number;
    if (oid === types.builtins.BYTEA)
      return (hex: string) => Uint8Array.from(Buffer.from(hex.slice(2), 'hex'));
    return types.getTypeParser(oid, format);
  }) as typeof types.getTypeParser,
};

/** SQL of a `timestamptz` from milliseconds. Whole ones stay exact: no number in it has a fraction. */
export function timeFrom(ms: string): string {
  return `(timestamptz 'epoch' + ${ms} * interval '1 millisecond')`;
}

/** SQL of the milliseconds of a `timestamptz`. */
export function msOf(time: string): string {
  return `(extract(epoch from ${time}) * 1000)::int8`;
}

/**
 * PostgreSQL has no NUL in its texts, and UTF-8 no half of a pair: two keys that differ there only are one. Other texts
 * stay as they are, so that people can read them.
 */
export function writtenText(text: string): string {
  const whole = text.toWellFormed();
  return /[\\\0]/.test(whole) ? whole.replaceAll('\\', '\\\\').replaceAll('\0', '\\0') : whole;
}

export function readText(written: string): string {
  return written.includes('\\')
    ? written.replaceAll(/\\([\\0])/g, (_, sign: string) => (sign === '0' ? '\0' : '\\'))
    : written;
}

/** A `uuid` column refuses anything else, and an id that cannot be in it is one that is not there. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}
