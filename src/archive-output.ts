/** What the archive command shows: a table, and how far it is. Called by archive-command.ts. */
import { formatByteSize } from '#kit/byte-size.ts';
import { type TopicKey, tenantOfKey, topicOfKey } from '#proto/names.ts';
import type { Archive } from './store/archive-index.ts';

const barChars = 30;
/** On a terminal the bar is drawn anew so often, milliseconds; elsewhere it is a line now and then. */
const redrawMs = 80;
const lineEveryMs = 2_000;

interface Output {
  isTTY?: boolean | undefined;
  write: (text: string) => unknown;
}

/** Columns as wide as they need to be, numbers to the right. */
export function archiveTable(archives: readonly Archive[]): string {
  if (archives.length === 0) return 'No archives.\n';
  const rows = archives.map((archive) => [
    shownTopic(archive.topic),
    ...[String(archive.firstOffset), String(archive.lastOffset)],
    ...[dayOf(archive.fromMs), dayOf(archive.toMs)],
    ...[String(archive.messageCount), shownBytes(archive.bytes)],
  ]);
  const messages = archives.reduce((sum, archive) => sum + archive.messageCount, 0);
  const bytes = archives.reduce((sum, archive) => sum + archive.bytes, 0);
  const total = ['TOTAL', '', '', '', '', String(messages), shownBytes(bytes)];
  const lines = [['TOPIC', 'FIRST', 'LAST', 'FROM', 'TO', 'MESSAGES', 'SIZE'], ...rows, total];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const aligned = (cell: string, column: number) =>
    [1, 2, 5, 6].includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!);
  return lines.map((line) => `${line.map(aligned).join('  ').trimEnd()}\n`).join('');
}

/** One line of JSON per archive. */
export function archiveLines(archives: readonly Archive[]): string {
  return archives
    .map(({ topic, fromMs, toMs, ...archive }) => {
      const names = { tenant: tenantOfKey(topic), topic: topicOfKey(topic) };
      const times = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
      return `${JSON.stringify({ ...names, ...times, ...archive })}\n`;
    })
    .join('');
}

/** `default|chat:a` is `chat:a`: most servers have one tenant. */
export function shownTopic(topic: TopicKey): string {
  const tenant = tenantOfKey(topic);
  return tenant === 'default' ? topicOfKey(topic) : `${tenant}|${topicOfKey(topic)}`;
}

/** A bar on a terminal, lines elsewhere. */
export class Progress {
  readonly #what: string;
  readonly #total: number;
  readonly #output: Output;
  readonly #nowMs: () => number;
  #shownAtMs = Number.NEGATIVE_INFINITY;

  constructor(what: string, total: number, output: Output, nowMs: () => number) {
    this.#what = what;
    this.#total = total;
    this.#output = output;
    this.#nowMs = nowMs;
  }

  show(done: number): void {
    const isTerminal = this.#output.isTTY === true;
    if (this.#nowMs() - this.#shownAtMs < (isTerminal ? redrawMs : lineEveryMs)) return;
    this.#shownAtMs = this.#nowMs();
    this.#output.write(isTerminal ? `\r${this.#bar(done)}\u001b[K` : `${this.#count(done)}\n`);
  }

  /** The last word; the bar stays as it was. */
  end(done: number): void {
    this.#output.write(
      this.#output.isTTY === true ? `\r${this.#bar(done)}\u001b[K\n` : `${this.#count(done)}, done\n`,
    );
  }

  #bar(done: number): string {
    const part = this.#total === 0 ? 1 : Math.min(1, done / this.#total);
    const full = Math.round(part * barChars);
    const percent = String(Math.floor(part * 100)).padStart(3);
    return `${'█'.repeat(full)}${'░'.repeat(barChars - full)} ${percent} %  ${this.#count(done)}`;
  }

  #count(done: number): string {
    const shown = done.toLocaleString('en-US');
    return `${this.#what}: ${shown} of ${this.#total.toLocaleString('en-US')} entries`;
  }
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Rounded up to a unit that people read. */
function shownBytes(bytes: number): string {
  const unit = bytes < 10 * 1024 ? 1 : bytes < 10 * 1024 ** 2 ? 1024 : 1024 ** 2;
  return formatByteSize(Math.ceil(bytes / unit) * unit);
}
