/** Sizes as people write them (`512`, `64kb`, `1mb`, `2gb`; powers of 1024) and as the code counts them: bytes. */
const unitBytes = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const;

/** Bytes, or undefined when the text is not a size. */
export function parseByteSize(text: string): number | undefined {
  const match = /^(\d+)(b|kb|mb|gb)?$/.exec(text.trim().toLowerCase());
  if (!match) return undefined;
  return Number(match[1]) * unitBytes[(match[2] ?? 'b') as keyof typeof unitBytes];
}

/** The shortest exact form: 65536 is `64kb`. */
export function formatByteSize(bytes: number): string {
  for (const unit of ['gb', 'mb', 'kb'] as const) {
    if (bytes !== 0 && bytes % unitBytes[unit] === 0) return `${bytes / unitBytes[unit]}${unit}`;
  }
  return `${bytes}b`;
}
