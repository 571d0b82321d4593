/** A JSON log line as a person at a terminal reads it. Control characters are escaped: a log cannot move the cursor. */

/** Answers the line as it is when it is not JSON. */
export function prettyLine(line: string): string {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line);
  } catch {
    return line;
  }
  const { time, level, thread, msg, node: _node, ...rest } = fields;
  const clock = String(time).slice(11, 23);
  const details = Object.entries(rest).map(([name, value]) => `${name}=${plain(value)}`);
  return `${[clock, String(level).toUpperCase().padEnd(5), `[${plain(thread)}]`, plain(msg), ...details].join(' ')}\n`;
}

function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.replace(
    /\p{Cc}/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
