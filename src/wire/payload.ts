/**
 * What a message carries, passed on as it is: in the form it came in, converted at most once to each other form.
 * msgpack is the form between threads; JSON text is made only where a JSON client listens.
 */
import { type Encoding, plainOf } from '#proto/envelope.ts';
import { packMsgpack, unpackMsgpack } from './codec.ts';

export class Payload {
  #value: { decoded: unknown } | undefined;
  #msgpack: Uint8Array | undefined;
  #json: string | undefined;

  private constructor(value: { decoded: unknown } | undefined, msgpack: Uint8Array | undefined) {
    this.#value = value;
    this.#msgpack = msgpack;
  }

  /** From a decoded frame or request body. */
  static ofValue(value: unknown): Payload {
    return new Payload({ decoded: value }, undefined);
  }

  /** From a record. `ownedBytes` are kept. */
  static ofMsgpack(ownedBytes: Uint8Array): Payload {
    return new Payload(undefined, ownedBytes);
  }

  get value(): unknown {
    this.#value ??= { decoded: unpackMsgpack(this.#msgpack as Uint8Array) };
    return this.#value.decoded;
  }

  get msgpack(): Uint8Array {
    this.#msgpack ??= packMsgpack(this.#value?.decoded);
    return this.#msgpack;
  }

  /** As a value inside of something larger: for JSON, `bin` is a base64 string. */
  valueFor(encoding: Encoding): unknown {
    return plainOf(encoding) === 'json' ? bytesAsBase64(this.value) : this.value;
  }

  /** JSON text; `bin` becomes a base64 string. */
  get json(): string {
    this.#json ??= JSON.stringify(this.valueFor('json')) ?? 'null';
    return this.#json;
  }
}

/** The same value with every Uint8Array as base64; untouched parts are not copied. */
function bytesAsBase64(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) {
    const entries = value.map(bytesAsBase64);
    return entries.some((entry, index) => entry !== value[index]) ? entries : value;
  }
  const entries = Object.entries(value).map(([key, entry]) => [key, bytesAsBase64(entry)] as const);
  const isChanged = entries.some(([key, entry]) => entry !== (value as Record<string, unknown>)[key]);
  return isChanged ? Object.fromEntries(entries) : value;
}
