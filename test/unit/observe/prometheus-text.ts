/** A strict reader of the Prometheus text format, written from its specification (version 0.0.4). */
import assert from 'node:assert/strict';

export interface Family {
  help: string;
  type: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const namePattern = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const sampleLine = new RegExp(`^(${namePattern})(?:\\{(.*)\\})? (\\S+)$`);
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)",?/y;

/** Families by name; fails on anything that the format does not allow. */
export function parsePage(page: string): Map<string, Family> {
  assert.ok(page.endsWith('\n'), 'the last line ends');
  const families = new Map<string, Family>();
  let current: Family | undefined;
  let currentName = '';
  for (const line of page.split('\n')) {
    if (line === '') continue;
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      assert.match(name!, new RegExp(`^${namePattern}$`));
      assert.equal(families.has(name!), false, `${name} is described once`);
      currentName = name!;
      current = { help: rest!, type: '', samples: [] };
      families.set(currentName, current);
    } else if (keyword === 'TYPE') {
      assert.equal(name, currentName, 'the type follows the help');
      assert.match(rest!, /^(counter|gauge|histogram|summary|untyped)$/);
      current!.type = rest!;
    } else {
      addSample(line, currentName, current);
    }
  }
  return families;
}

function addSample(
  line: string,
  family: string,
  { type, samples } = { help: '', type: '', samples: [] } as Family,
): void {
  const [, name, labels, text] = sampleLine.exec(line) ?? [];
  assert.ok(name, `a sample: ${line}`);
  const names =
    type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => family + suffix) : [family];
  assert.ok(names.includes(name), `${name} belongs to ${family}`);
  const value = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text);
  assert.equal(Number.isNaN(value), false, line);
  samples.push({ name, labels: parseLabels(labels ?? ''), value });
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  labelPair.lastIndex = 0;
  while (labelPair.lastIndex < text.length) {
    const match = labelPair.exec(text);
    assert.ok(match, `labels: ${text}`);
    labels[match[1]!] = match[2]!;
  }
  return labels;
}
