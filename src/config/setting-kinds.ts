/** How the text of a setting becomes a value, and what to say when it does not. Pure. */
import { isNetwork } from '#kit/address.ts';
import { formatByteSize, parseByteSize } from '#kit/byte-size.ts';
import { formatDuration, parseDuration } from '#kit/duration.ts';

/** Permits per interval, as `100/10s`. */
export interface Rate {
  permits: number;
  intervalMs: number;
}

export interface SettingKind<Value> {
  /** Completes the sentence "allowed is …". */
  allowed: string;
  parse(text: string): Value | undefined;
  format(value: Value): string;
}

export const text: SettingKind<string> = {
  allowed: 'any text',
  parse: (value) => value,
  format: (value) => value,
};

export const list: SettingKind<string[]> = {
  allowed: 'a comma-separated list',
  parse: (value) =>
    value
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry !== ''),
  format: (value) => value.join(','),
};

export const postgresUrl: SettingKind<string> = {
  allowed: 'a URL like postgres://user:password@host:5432/database',
  parse: (value) => (/^postgres(ql)?:\/\//.test(value) && URL.canParse(value) ? value : undefined),
  format: (value) => value,
};

/** The name of a text search configuration of PostgreSQL. */
export const searchLanguage: SettingKind<string> = {
  allowed: 'a name like simple or english',
  parse: (value) => (/^[a-z_]{1,63}$/.test(value) ? value : undefined),
  format: (value) => value,
};

export const networks: SettingKind<string[]> = {
  allowed: 'a comma-separated list of addresses and networks like 127.0.0.1,10.0.0.0/8',
  parse(value) {
    const entries = list.parse(value) ?? [];
    return entries.every(isNetwork) ? entries : undefined;
  },
  format: (value) => value.join(','),
};

const flagWords = new Map([
  ...(['true', '1', 'on'] as const).map((word) => [word, true] as const),
  ...(['false', '0', 'off'] as const).map((word) => [word, false] as const),
]) as ReadonlyMap<string, boolean>;

export const flag: SettingKind<boolean> = {
  allowed: 'true or false',
  parse: (value) => flagWords.get(value.toLowerCase()),
  format: String,
};

export function integer(min: number, max: number): SettingKind<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    parse: (value) => (/^\d+$/.test(value) ? within(Number(value), min, max) : undefined),
    format: String,
  };
}

export function duration(minMs: number, maxMs: number): SettingKind<number> {
  return {
    allowed: `a duration like 250ms, 30s or 5m, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    parse: (value) => within(parseDuration(value), minMs, maxMs),
    format: formatDuration,
  };
}

export function byteSize(minBytes: number, maxBytes: number): SettingKind<number> {
  return {
    allowed: `a size like 512, 64kb or 1mb, from ${formatByteSize(minBytes)} to ${formatByteSize(maxBytes)}`,
    parse: (value) => within(parseByteSize(value), minBytes, maxBytes),
    format: formatByteSize,
  };
}

export const rate: SettingKind<Rate> = {
  allowed: 'a rate like 50/s, 100/10s or 1000/1m',
  parse(value) {
    const match = /^(\d+)\/(.+)$/.exec(value);
    if (!match) return undefined;
    const permits = Number(match[1]);
    const interval = match[2] as string;
    const intervalMs = parseDuration(/^\d/.test(interval) ? interval : `1${interval}`);
    return permits > 0 && intervalMs ? { permits, intervalMs } : undefined;
  },
  format: ({ permits, intervalMs }) => `${permits}/${formatDuration(intervalMs)}`,
};

export function oneOf<Choice extends string>(...choices: Choice[]): SettingKind<Choice> {
  return {
    allowed: `one of ${choices.join(', ')}`,
    parse: (value) => choices.find((choice) => choice === value),
    format: (value) => value,
  };
}

export function listOf<Choice extends string>(...choices: Choice[]): SettingKind<Choice[]> {
  return {
    allowed: `a comma-separated list of ${choices.join(', ')}`,
    parse(value) {
      const entries = list.parse(value) ?? [];
      const known = entries.filter((entry): entry is Choice => choices.includes(entry as Choice));
      return known.length === entries.length && known.length > 0 ? known : undefined;
    },
    format: (value) => value.join(','),
  };
}

/** `auto` stands for a number that is found out at start. */
export function autoOr(kind: SettingKind<number>, auto: () => number): SettingKind<number> {
  return {
    allowed: `auto, or ${kind.allowed}`,
    parse: (value) => (value === 'auto' ? auto() : kind.parse(value)),
    format: String,
  };
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}
