/** The same bounds for parsed JSON that scan-msgpack.ts sets for msgpack. Pure. */
import { depthMax } from '#proto/limits.ts';
import { WireError } from './wire-error.ts';

/** Throws WireError when `value` is nested too deep or has a key `__proto__`. The recursion ends at the limit. */
export function checkValue(value: unknown, depth = 1): void {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new WireError('numbers must be finite');
  if (typeof value !== 'object' || value === null) return;
  if (depth > depthMax) throw new WireError(`nested deeper than ${depthMax}`);
  if (Array.isArray(value)) {
    for (const entry of value) checkValue(entry, depth + 1);
    return;
  }
  for (const key of Object.keys(value)) {
    if (key === '__proto__') throw new WireError('the key "__proto__" is refused');
    checkValue((value as Record<string, unknown>)[key], depth + 1);
  }
}
